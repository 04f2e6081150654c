#include "cli/pack.h"

#include <string.h>

static ls_status open_source(const void *job, struct ls_pack_source **source) {
    return ls_pack_csv_open(job, source);
}

static ls_status read_delimiter(const char *text, char *delimiter) {
    *delimiter = strcmp(text, "tab") == 0 ? '\t' : text[0];
    bool one = strcmp(text, "tab") == 0 || (text[0] && !text[1]);
    if (one && !strchr("\"\r\n.+-0123456789eE", *delimiter)) return LS_OK;
    return LS_FAIL(LS_INPUT, "--delimiter: expected tab or one character such as , or ; found \"%s\"", text);
}

static ls_status read_choice(const char *option, const char *text, const char *const words[3], int *choice) {
    for (*choice = 0; *choice < 3; ++*choice)
        if (strcmp(text, words[*choice]) == 0) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: expected %s, %s or %s, found \"%s\"", option, words[0], words[1], words[2],
                   text);
}

static ls_status run(const struct ls_command *command, int argc, char **argv) {
    static const char *const headers[] = {"auto", "yes", "no"}, *const kinds[] = {"auto", "class", "value"};
    struct ls_pack_asked asked = {0};
    struct ls_pack_csv job = {0};
    const char *delimiter = ",", *header = "auto", *kind = "auto";
    int choice;
    const struct ls_option options[] = {
        {"--target", NULL, LS_WORD, &job.target, "COLUMN[,…]", "what is to be predicted (default: the last)"},
        {"--ignore", NULL, LS_WORD, &job.ignore, "COLUMN[,…]", "columns to leave out"},
        {"--kind", NULL, LS_WORD, &kind, "class|value", "what the target is (default: as it looks)"},
        {"--class-names", NULL, LS_WORD, &job.class_names, "FILE",
         "the classes in their order, a line each: for files that do not hold all of them"},
        {"--header", NULL, LS_WORD, &header, "yes|no",
         "is the first line one? (default: where none of its cells is a number)"},
        {"--delimiter", NULL, LS_WORD, &delimiter, "C", "between cells, or tab (default ,)"},
        {"--shape", NULL, LS_WORD, &job.shape, "H,W,C", "what samples are to be, such as 28,28,1"},
        {"--u8", NULL, LS_FLAG, &job.bytes, NULL, "samples are integers from 0 to 255, kept as bytes"},
        {0},
    };
    LS_TRY(ls_pack_parse(command, options, argc, argv, &asked));
    if (asked.helped) return LS_OK;
    if (asked.n < 1) return LS_FAIL(LS_INPUT, "pack csv needs a file");
    LS_TRY(read_delimiter(delimiter, &job.delimiter));
    LS_TRY(read_choice("--header", header, headers, &choice));
    job.header = (enum ls_csv_header)choice;
    LS_TRY(read_choice("--kind", kind, kinds, &choice));
    job.kind = (enum ls_csv_kind)choice;
    job.files = (const char *const *)argv;
    job.n_files = asked.n;
    return ls_pack_do(&asked, open_source, &job);
}

const struct ls_command ls_pack_csv = {
    .name = "pack csv",
    .summary = "numbers in text files, a sample a line",
    .usage = "FILE… -o OUT [--target COLUMN] [--test 0.1] [--shuffle]",
    .details = "Numbers, a sample a line that ends with LF or CR LF; cells may have quotes. Columns are "
               "named as the header has "
               "them, or numbered from 1 on. The target is the last column, or those named: text is a class "
               "(names in the order of their bytes), and so are integers from 0 on; other numbers are values "
               "to predict. A cell that is no number, or missing, ends it before anything is written.",
    .example = "lockstep pack csv train.csv --target species --ignore id -o shards --shuffle --test 0.1",
    .run = run,
};
