// A study as a Slurm array job: a file to look at, submit, and collect.
#include "base/file.h"
#include "base/text.h"
#include "study/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// In single quotes, for the shell.
static void add_quoted(struct ls_text *text, const char *word) {
    ls_text_add(text, "'");
    for (; *word; word++) {
        if (*word == '\'')
            ls_text_add(text, "'\\''");
        else
            ls_text_add_bytes(text, word, 1);
    }
    ls_text_add(text, "'");
}

static void add_head(const struct ls_study_spec *spec, struct ls_text *text) {
    ls_text_add(text, "#!/bin/bash\n# Made by lockstep scale. Edit the two lines marked EDIT, submit it with "
                      "sbatch, and when all elements have "
                      "ended:\n#   lockstep scale … --collect, with the same options\n#SBATCH --array=");
    for (int i = 0; i < spec->n_ranks; i++) ls_text_add(text, "%s%d", i ? "," : "", spec->ranks[i]);
    ls_text_add(text,
                "\n#SBATCH --nodes=%d                  # EDIT: enough for the most ranks\n"
                "#SBATCH --ntasks-per-node=1        # EDIT: ranks a node; one a GPU\n"
                "#SBATCH --time=00:30:00\n#SBATCH --job-name=scaling\n#SBATCH --output=%%x-%%A-%%a.log\n"
                "#SBATCH --exclusive                # neighbours on a node would be measured with it\n\n",
                spec->ranks[spec->n_ranks - 1]);
    ls_text_add(text, "# As few nodes as hold the ranks, block by block.\nranks=$SLURM_ARRAY_TASK_ID\n"
                      "nodes=$(((ranks + SLURM_NTASKS_PER_NODE - 1) / SLURM_NTASKS_PER_NODE))\n"
                      "start=(srun --mpi=pmix --kill-on-bad-exit=1 --nodes=$nodes --ntasks=\"$ranks\" "
                      "--distribution=block)\n");
}

static void add_runs(const struct ls_study *study, enum ls_scaling_mode mode, const char *program,
                     struct ls_text *text) {
    const struct ls_study_spec *spec = study->spec;
    ls_text_add(text, "for trial in $(seq %d); do\n    \"${start[@]}\" ", spec->repeats);
    add_quoted(text, program);
    ls_text_add(text, " train ");
    add_quoted(text, spec->recipe);
    for (int i = 0; i < spec->n_overrides; i++) {
        ls_text_add(text, " ");
        add_quoted(text, spec->overrides[i]);
    }
    ls_text_add(text, " train.steps=%d eval.every=0 checkpoint.every=0", spec->steps);
    if (mode == LS_WEAK)
        ls_text_add(text, " train.batch=$((%lld * ranks / %d)) train.lanes=$((%lld * ranks / %d))",
                    (long long)study->batch, spec->ranks[0], (long long)study->lanes, spec->ranks[0]);
    ls_text_add(text, " --resume --out ");
    add_quoted(text, spec->out);
    ls_text_add(text, "/runs/%s-$ranks-ranks-$trial\ndone\n", ls_study_mode_name(mode));
}

ls_status ls_study_write_array(const struct ls_study *study) {
    const struct ls_study_spec *spec = study->spec;
    char own[4096], path[4096];
    const char *program = ls_study_program(spec, own, sizeof own);
    LS_TRY(ls_study_make_folders(spec));
    struct ls_text text = {0};
    add_head(spec, &text);
    if (spec->strong) add_runs(study, LS_STRONG, program, &text);
    if (spec->weak) add_runs(study, LS_WEAK, program, &text);
    snprintf(path, sizeof path, "%s/array.sbatch", spec->out);
    ls_status status = ls_file_write(path, text.data, text.length);
    ls_text_free(&text);
    return status;
}
