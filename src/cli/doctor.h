// What `lockstep doctor` compares between hosts.
#pragma once

#include "comm/comm.h"

enum { LS_DOCTOR_FACTS = 7, LS_DOCTOR_HOSTS = 64 };

// One host's word on itself.
struct ls_doctor_host {
    char name[64];
    char fact[LS_DOCTOR_FACTS][128]; // versions and machine; equal where all is well
    double clock;                    // seconds since 1970, at one moment for all
};

void ls_doctor_look(struct ls_doctor_host *host, const struct ls_comm *comm,
                    const char *processor); // but for the clock
// Prints a warning for each host that differs from most; returns how many.
int ls_doctor_compare(const struct ls_doctor_host *hosts, int n);

// Collective: what two hosts exchange with each other in a second, both ways together, for each pair of the
// ranks in `first` (the first of each host). rate [n * n], bytes a second, filled on rank 0; 0 where nothing
// was measured.
ls_status ls_doctor_measure_links(struct ls_comm *comm, const int *first, int n, double *rate);
// Prints the links, and a warning for each host that is much slower with all others than they among
// themselves.
int ls_doctor_compare_links(const struct ls_doctor_host *hosts, int n, const double *rate);

// Prints the GPUs of this host, their links and libraries, and warns of what will hurt; returns how many
// warnings.
int ls_doctor_print_gpus(int local_ranks);
void ls_doctor_gpu_fact(char fact[128]); // "4 NVIDIA H100 80GB HBM3, driver 13.0", or "none"
