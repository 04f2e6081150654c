#include "base/sort.h"
#include "base/version.h"
#include "cli/doctor.h"
#include "cpu/cpu.h"
#include "h5/h5.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

static const double CLOCKS_APART_S = 1; // what time stamps of files and logs show

static const char *const names[LS_DOCTOR_FACTS] = {"lockstep", "MPI",       "HDF5", "oneDNN",
                                                   "kernel",   "processor", "GPU"};

void ls_doctor_look(struct ls_doctor_host *host, const struct ls_comm *comm, const char *processor) {
    struct utsname system;
    const char *kernel = uname(&system) == 0 ? system.release : "unknown";
    char gpu[128];
    ls_doctor_gpu_fact(gpu);
    const char *const facts[LS_DOCTOR_FACTS] = {ls_version(),
                                                ls_comm_library(),
                                                ls_h5_library(),
                                                ls_cpu_library() ? ls_cpu_library() : "none",
                                                kernel,
                                                processor,
                                                gpu};
    *host = (struct ls_doctor_host){.clock = 0};
    snprintf(host->name, sizeof host->name, "%.63s", comm->host);
    for (int f = 0; f < LS_DOCTOR_FACTS; f++)
        snprintf(host->fact[f], sizeof host->fact[f], "%.127s", facts[f]);
}

// The host whose fact most hosts share.
static int usual(const struct ls_doctor_host *hosts, int n, int fact) {
    int best = 0, most = 0;
    for (int i = 0; i < n; i++) {
        int same = 0;
        for (int j = 0; j < n; j++) same += strcmp(hosts[i].fact[fact], hosts[j].fact[fact]) == 0;
        if (same > most) most = same, best = i;
    }
    return best;
}

int ls_doctor_compare(const struct ls_doctor_host *hosts, int n) {
    int warnings = 0;
    for (int f = 0; f < LS_DOCTOR_FACTS; f++) {
        const int most = usual(hosts, n, f);
        for (int i = 0; i < n; i++) {
            if (strcmp(hosts[i].fact[f], hosts[most].fact[f]) == 0) continue;
            printf("  warning: host %s: %s %s, %s %s\n", hosts[i].name, names[f], hosts[i].fact[f],
                   n == 2 ? "the other" : "most others", hosts[most].fact[f]);
            warnings++;
        }
    }
    double clocks[LS_DOCTOR_HOSTS];
    for (int i = 0; i < n; i++) clocks[i] = hosts[i].clock;
    const double middle = ls_median(clocks, (size_t)n);
    for (int i = 0; i < n; i++) {
        if (fabs(hosts[i].clock - middle) <= CLOCKS_APART_S) continue;
        printf("  warning: host %s: its clock is %+.1f s from the others'\n", hosts[i].name,
               hosts[i].clock - middle);
        warnings++;
    }
    return warnings;
}

static double median_rate(const double *rate, int n, int host, int without) {
    double values[LS_DOCTOR_HOSTS * LS_DOCTOR_HOSTS];
    int k = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            if (i != j && (host < 0 || i == host) && i != without && j != without && rate[i * n + j] > 0)
                values[k++] = rate[i * n + j];
    return k ? ls_median(values, (size_t)k) : 0;
}

int ls_doctor_compare_links(const struct ls_doctor_host *hosts, int n, const double *rate) {
    int warnings = 0;
    printf("links between hosts, both ways together: %.3g GB/s (median of %d pairs)\n",
           median_rate(rate, n, -1, -1) / 1e9, n * (n - 1) / 2);
    for (int i = 0; i < n && n > 2; i++) {
        const double its = median_rate(rate, n, i, -1), others = median_rate(rate, n, -1, i);
        if (its > others / 2) continue;
        printf("  warning: host %s: %.3g GB/s with the others, who have %.3g GB/s among themselves\n",
               hosts[i].name, its / 1e9, others / 1e9);
        warnings++;
    }
    return warnings;
}
