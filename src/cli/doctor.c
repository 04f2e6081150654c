#include "cli/doctor.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/version.h"
#include "cli/cli.h"
#include "cli/world.h"
#include "cpu/cpu.h"
#include "h5/h5.h"
#include "train/libraries.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

// Every host's word on itself, gathered so that rank 0 prints them all and sees what differs.
struct report {
    int rank, local_rank, local_size, cores, online;
    double memory_bytes;
    char host[128], processor[128];
};

static void processor_name(char *out, size_t bytes) {
    snprintf(out, bytes, "unknown processor");
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[512];
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        colon[strcspn(colon, "\n")] = 0;
        snprintf(out, bytes, "%s", colon + 2);
        break;
    }
    if (file) fclose(file);
}

static void look(const struct ls_comm *comm, struct report *report) {
    *report = (struct report){
        .rank = comm->rank,
        .local_rank = comm->local_rank,
        .local_size = comm->local_size,
        .cores = ls_cpu_cores(),
        .online = ls_cpu_cores_online(),
        .memory_bytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE),
    };
    snprintf(report->host, sizeof report->host, "%s", comm->host);
    processor_name(report->processor, sizeof report->processor);
}

static int print_reports(const struct report *reports, int n) {
    int warnings = 0;
    for (int r = 0; r < n; r++) {
        const struct report *report = &reports[r];
        char memory[32];
        printf("rank %d on %s: %s, %d of %d cores, %s memory\n", report->rank, report->host,
               report->processor, report->cores, report->online,
               ls_format_bytes(memory, report->memory_bytes));
        if (report->local_rank == 0 && report->local_size > report->cores &&
            report->cores == report->online) {
            printf("  warning: %d ranks share %d cores of %s: they will wait for each other\n",
                   report->local_size, report->cores, report->host);
            warnings++;
        }
    }
    return warnings;
}

static int print_library_warnings(void) {
    int warnings = 0;
    if (!ls_cpu_library()) {
        printf("  warning: oneDNN was not there at build time: the plain kernels serve, which are slow "
               "(Debian: libdnnl-dev)\n");
        warnings++;
    }
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < 256) {
        printf("  warning: at most %llu open files (ulimit -n)\n", (unsigned long long)files.rlim_cur);
        warnings++;
    }
    return warnings;
}

// The first rank of each host, in the order of ranks; false where there are more hosts than the tables hold.
static bool first_ranks(const struct report *reports, int n, int *first, int *hosts) {
    *hosts = 0;
    for (int r = 0; r < n; r++) {
        if (reports[r].local_rank != 0) continue;
        if (*hosts == LS_DOCTOR_HOSTS) return false;
        first[(*hosts)++] = r;
    }
    return true;
}

static ls_status compare_hosts(struct ls_comm *comm, const struct report *reports, int *warnings) {
    int first[LS_DOCTOR_HOSTS], n = 0;
    if (!first_ranks(reports, comm->size, first, &n)) {
        if (comm->rank == 0) printf("more than %d hosts: they are not compared\n", LS_DOCTOR_HOSTS);
        return LS_OK;
    }
    if (n < 2) return LS_OK;
    static struct ls_doctor_host hosts[LS_DOCTOR_HOSTS];
    static double rate[LS_DOCTOR_HOSTS * LS_DOCTOR_HOSTS];
    struct ls_doctor_host mine;
    ls_doctor_look(&mine, comm, reports[comm->rank].processor);
    LS_TRY(ls_comm_barrier(comm));
    mine.clock = ls_unix_time();
    for (int i = 0; i < n; i++) {
        hosts[i] = mine;
        LS_TRY(ls_comm_broadcast(comm, &hosts[i], sizeof hosts[i], first[i]));
    }
    LS_TRY(ls_doctor_measure_links(comm, first, n, rate));
    if (comm->rank != 0) return LS_OK;
    *warnings += ls_doctor_compare(hosts, n);
    *warnings += ls_doctor_compare_links(hosts, n, rate);
    return LS_OK;
}

static void print_formats(void) {
    struct ls_text text = {0};
    ls_libraries_of_formats(&text);
    printf("%s\n", text.data);
    ls_text_free(&text);
}

static ls_status work(struct ls_comm *comm, void *context) {
    (void)context;
    enum { MOST = 1024 };
    static struct report reports[MOST];
    if (comm->size > MOST)
        return LS_FAIL(LS_INPUT, "doctor looks at up to %d ranks, found %d", MOST, comm->size);
    struct report mine;
    look(comm, &mine);
    LS_TRY(ls_comm_gather_all(comm, &mine, reports, sizeof mine));
    int warnings = 0;
    if (comm->rank == 0) {
        printf("lockstep %s, %s, %s, %s\n", ls_version(), ls_comm_library(), ls_h5_library(),
               ls_cpu_library() ? ls_cpu_library() : "no oneDNN");
        print_formats();
        warnings = print_reports(reports, comm->size);
    }
    LS_TRY(compare_hosts(comm, reports, &warnings));
    if (comm->rank != 0) return LS_OK;
    printf("bf16: %s\n", ls_cpu_has_bf16() ? "yes"
                                           : "no bf16 instructions in this processor: train.precision=bf16 "
                                             "runs with device.kernels=plain only");
    warnings += ls_doctor_print_gpus(comm->local_size);
    warnings += print_library_warnings();
    printf(warnings ? "%d warning(s)\n" : "nothing wrong\n", warnings);
    return LS_OK;
}

static ls_status run(const struct ls_command *command, int argc, char **argv) {
    bool helped = false;
    const struct ls_option options[] = {{0}};
    int n = 0;
    LS_TRY(ls_options_parse(command, options, argc, argv, &n, &helped));
    if (helped) return LS_OK;
    if (n != 0) return LS_FAIL(LS_INPUT, "doctor takes no argument, found \"%s\"", argv[0]);
    return ls_with_world(work, NULL);
}

const struct ls_command ls_command_doctor = {
    .name = "doctor",
    .summary = "what this machine has, and what is wrong with it",
    .usage = "",
    .details = "Lists processor, memory, libraries and launcher, and says what will hurt. Over several hosts "
               "it also compares their versions, clocks and links, and names the odd one out.",
    .example = "mpirun -n 2 lockstep doctor",
    .run = run,
};
