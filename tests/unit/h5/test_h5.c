// What Lockstep writes and reads back; files that are not what they should be.
#include "unit/scratch.h"

#include "base/text.h"
#include "h5/h5.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

static struct ls_h5 *create(const char *name) {
    struct ls_h5 *file;
    assert_ok(ls_h5_create(scratch(name), &file));
    return file;
}

static struct ls_h5 *reopen(const char *name) {
    struct ls_h5 *file;
    assert_ok(ls_h5_open(scratch(name), &file));
    return file;
}

static void every_type_comes_back(void **state) {
    (void)state;
    int64_t dim[2] = {3, 5};
    uint64_t data[15], back[15];
    for (int i = 0; i < 15; i++) data[i] = 0x3c01420339048805u * (uint64_t)(i + 1);
    struct ls_h5 *file = create("types.h5");
    for (int t = 0; t < LS_DTYPES; t++)
        assert_ok(ls_h5_write(file, ls_dtype_name((ls_dtype)t), (ls_dtype)t, 2, dim, data));
    assert_ok(ls_h5_finish(file));
    file = reopen("types.h5");
    for (int t = 0; t < LS_DTYPES; t++) {
        const char *name = ls_dtype_name((ls_dtype)t);
        struct ls_h5_dataset info;
        assert_ok(ls_h5_describe(file, name, &info));
        assert_int_equal(info.type, t);
        assert_true(!info.swapped && info.storage == LS_H5_CONTIGUOUS);
        assert_string_equal(info.layout, "contiguous");
        assert_int_equal(info.rank, 2);
        assert_memory_equal(info.dim, dim, sizeof dim);
        memset(back, 0, sizeof back);
        assert_ok(ls_h5_read_all(file, name, (ls_dtype)t, back));
        assert_memory_equal(back, data, 15 * ls_dtype_bytes((ls_dtype)t));
        size_t bytes;
        unsigned char *whole = scratch_read(ls_h5_path(file), &bytes);
        assert_memory_equal(whole + info.offset, data, 15 * ls_dtype_bytes((ls_dtype)t));
        free(whole);
    }
    ls_h5_close(file);
}

static void rows_are_written_and_read_in_pieces(void **state) {
    (void)state;
    enum { ROWS = 1000, WIDTH = 7 };
    int64_t dim[3] = {ROWS, 1, WIDTH};
    float data[ROWS * WIDTH], back[ROWS * WIDTH];
    for (int i = 0; i < ROWS * WIDTH; i++) data[i] = (float)i;
    struct ls_h5 *file = create("rows.h5");
    assert_ok(ls_h5_make(file, "x", LS_F32, 3, dim));
    for (int64_t begin = 0; begin < ROWS; begin += 333)
        assert_ok(ls_h5_write_rows(file, "x", begin, begin + 333 < ROWS ? 333 : ROWS - begin, LS_F32,
                                   data + begin * WIDTH));
    assert_fails(LS_SYSTEM, "its own type, found f64", ls_h5_write_rows(file, "x", 0, 1, LS_F64, data));
    assert_fails(LS_SYSTEM, "expected rows of its 1000, found 2 from row 999",
                 ls_h5_write_rows(file, "x", 999, 2, LS_F32, data));
    assert_fails(LS_INPUT, "has no dataset 'y'", ls_h5_write_rows(file, "y", 0, 1, LS_F32, data));
    assert_ok(ls_h5_finish(file));
    file = reopen("rows.h5");
    struct ls_h5_dataset info;
    assert_ok(ls_h5_describe(file, "x", &info));
    assert_int_equal(info.offset % 4096, 0);
    assert_ok(ls_h5_read_rows(file, "x", 500, 2, LS_F32, back));
    assert_memory_equal(back, data + 500 * WIDTH, 2 * WIDTH * 4);
    int32_t integers[WIDTH];
    assert_ok(ls_h5_read_rows(file, "x", ROWS - 1, 1, LS_I32, integers));
    assert_int_equal(integers[WIDTH - 1], ROWS * WIDTH - 1);
    assert_ok(ls_h5_read_rows(file, "x", ROWS, 0, LS_F32, back));
    assert_fails(LS_INPUT, "expected rows of its 1000, found 2 from row 999",
                 ls_h5_read_rows(file, "x", ROWS - 1, 2, LS_F32, back));
    assert_fails(LS_INPUT, "expected rows of its 1000", ls_h5_read_rows(file, "x", -1, 1, LS_F32, back));
    assert_fails(LS_INPUT, "expected rows of its 1000",
                 ls_h5_read_rows(file, "x", 1, INT64_MAX, LS_F32, back));
    ls_h5_close(file);
}

// More than is on its way to the disk at a time, by turns with something small.
static void large_data_come_back(void **state) {
    (void)state;
    enum { ROWS = 26, WIDTH = 1 << 18, TIMES = 2 };
    static uint32_t data[TIMES * WIDTH], back[ROWS * WIDTH];
    int64_t dim[2] = {ROWS, WIDTH}, small[1] = {ROWS};
    struct ls_h5 *file = create("large.h5");
    assert_ok(ls_h5_make(file, "x", LS_U32, 2, dim));
    assert_ok(ls_h5_make(file, "y", LS_U32, 1, small));
    for (uint32_t begin = 0; begin < ROWS; begin += TIMES) {
        for (uint32_t i = 0; i < TIMES * WIDTH; i++) data[i] = (begin * WIDTH + i) * 2654435761u;
        assert_ok(ls_h5_write_rows(file, "x", begin, TIMES, LS_U32, data));
        assert_ok(ls_h5_write_rows(file, "y", begin, TIMES, LS_U32, data));
    }
    assert_ok(ls_h5_finish(file));
    file = reopen("large.h5");
    assert_ok(ls_h5_read_all(file, "x", LS_U32, back));
    for (uint32_t i = 0; i < ROWS * WIDTH; i++) assert_true(back[i] == i * 2654435761u);
    assert_ok(ls_h5_read_all(file, "y", LS_U32, back));
    for (uint32_t i = 0; i < ROWS; i++)
        assert_true(back[i] == (i / TIMES * TIMES * WIDTH + i % TIMES) * 2654435761u);
    ls_h5_close(file);
}

static void values_and_empty_datasets(void **state) {
    (void)state;
    double value = 2.5, back = 0;
    int64_t none[2] = {0, 4};
    struct ls_h5 *file = create("small.h5");
    assert_ok(ls_h5_write(file, "value", LS_F64, 0, NULL, &value));
    assert_ok(ls_h5_write(file, "none", LS_F32, 2, none, &value));
    assert_fails(LS_SYSTEM, "'value'", ls_h5_make(file, "value", LS_F32, 0, NULL));
    assert_fails(LS_SYSTEM, "at most 8", ls_h5_make(file, "deep", LS_F32, 9, NULL));
    assert_ok(ls_h5_finish(file));
    file = reopen("small.h5");
    assert_ok(ls_h5_read_all(file, "value", LS_F64, &back));
    assert_true(back == 2.5);
    assert_fails(LS_INPUT, "single value", ls_h5_read_rows(file, "value", 0, 1, LS_F64, &back));
    struct ls_h5_dataset info;
    assert_ok(ls_h5_describe(file, "none", &info));
    assert_int_equal(info.dim[0], 0);
    assert_ok(ls_h5_read_all(file, "none", LS_F32, &back));
    assert_ok(ls_h5_read_rows(file, "none", 0, 0, LS_F32, &back));
    ls_h5_close(file);
}

static void strings_and_attributes(void **state) {
    (void)state;
    const char *const names[] = {"T-shirt", "", "Gru\xc3\x9f"};
    double three[] = {1, 2.5, -3};
    char *joined, text[16];
    int n;
    bool found;
    int64_t number;
    double numbers[4];
    struct ls_h5 *file = create("text.h5");
    assert_ok(ls_h5_write_strings(file, "names", names, 3));
    assert_ok(ls_h5_write_strings(file, "empty", names + 1, 1));
    assert_ok(ls_h5_write_strings(file, "no names", names, 0));
    assert_ok(ls_h5_set_text(file, "/", "format", "lockstep"));
    assert_ok(ls_h5_set_text(file, "/", "nothing", ""));
    assert_ok(ls_h5_set_i64(file, "names", "least", INT64_MIN));
    assert_ok(ls_h5_set_f64(file, "/", "three", three, 3));
    assert_fails(LS_SYSTEM, "'format'", ls_h5_set_text(file, "/", "format", "twice"));
    assert_ok(ls_h5_finish(file));
    file = reopen("text.h5");
    assert_ok(ls_h5_read_strings(file, "names", &joined, &n));
    assert_int_equal(n, 3);
    assert_memory_equal(joined, "T-shirt\0\0Gru\xc3\x9f\0", 15);
    free(joined);
    assert_ok(ls_h5_read_strings(file, "empty", &joined, &n));
    assert_int_equal(n, 1);
    assert_string_equal(joined, "");
    free(joined);
    assert_ok(ls_h5_read_strings(file, "no names", &joined, &n));
    assert_int_equal(n, 0);
    free(joined);
    assert_ok(ls_h5_attr_text(file, "/", "format", text, sizeof text, &found));
    assert_true(found);
    assert_string_equal(text, "lockstep");
    assert_ok(ls_h5_attr_text(file, "/", "nothing", text, sizeof text, &found));
    assert_true(found);
    assert_string_equal(text, "");
    assert_ok(ls_h5_attr_text(file, "/", "absent", text, sizeof text, &found));
    assert_false(found);
    assert_ok(ls_h5_attr_i64(file, "names", "least", &number, &found));
    assert_true(found && number == INT64_MIN);
    assert_ok(ls_h5_attr_f64(file, "/", "three", numbers, 4, &n));
    assert_int_equal(n, 3);
    assert_memory_equal(numbers, three, sizeof three);
    assert_ok(ls_h5_attr_f64(file, "/", "absent", numbers, 4, &n));
    assert_int_equal(n, 0);
    assert_fails(LS_INPUT, "fewer than 8 bytes", ls_h5_attr_text(file, "/", "format", text, 8, &found));
    assert_fails(LS_INPUT, "1 to 2 numbers, found 3", ls_h5_attr_f64(file, "/", "three", numbers, 2, &n));
    assert_fails(LS_INPUT, "expected one text", ls_h5_attr_text(file, "/", "three", text, 8, &found));
    assert_fails(LS_INPUT, "expected numbers", ls_h5_attr_i64(file, "/", "format", &number, &found));
    assert_fails(LS_INPUT, "no object 'missing'", ls_h5_attr_i64(file, "missing", "x", &number, &found));
    assert_fails(LS_INPUT, "expected numbers", ls_h5_read_all(file, "names", LS_F32, numbers));
    ls_h5_close(file);
}

struct seen {
    char names[256];
    struct ls_h5 *file;
};

static ls_status see(void *context, const char *name, const struct ls_h5_dataset *info) {
    struct seen *seen = context;
    float value;
    strcat(strcat(seen->names, name), " ");
    if (info->type == LS_DTYPES) return LS_FAIL(LS_INPUT, "enough");
    return ls_h5_read_all(seen->file, name, LS_F32, &value); // the lock is free
}

static void visits_in_creation_order(void **state) {
    (void)state;
    float value = 1;
    const char *word = "w";
    struct ls_h5 *file = create("visit.h5");
    assert_ok(ls_h5_make_group(file, "model"));
    // More than eight links, where groups change how they are stored.
    for (char name[] = "model/z"; name[6] > 'o'; name[6]--)
        assert_ok(ls_h5_write(file, name, LS_F32, 0, NULL, &value));
    assert_ok(ls_h5_make_group(file, "model/deep"));
    assert_ok(ls_h5_write(file, "model/deep/y.x", LS_F32, 0, NULL, &value));
    assert_ok(ls_h5_write(file, "a", LS_F32, 0, NULL, &value));
    assert_ok(ls_h5_write_strings(file, "b", &word, 1));
    assert_ok(ls_h5_write(file, "c", LS_F32, 0, NULL, &value));
    assert_fails(LS_SYSTEM, "no/group", ls_h5_write(file, "no/group", LS_F32, 0, NULL, &value));
    assert_ok(ls_h5_finish(file));
    file = reopen("visit.h5");
    struct seen seen = {.file = file};
    assert_ok(ls_h5_visit(file, "model", see, &seen));
    assert_string_equal(seen.names,
                        "model/z model/y model/x model/w model/v model/u model/t model/s model/r model/q "
                        "model/p model/deep/y.x ");
    seen.names[0] = 0;
    assert_fails(LS_INPUT, "enough", ls_h5_visit(file, "/", see, &seen));
    assert_string_equal(seen.names + strlen(seen.names) - 4, "a b ");
    assert_fails(LS_INPUT, "no group 'modes'", ls_h5_visit(file, "modes", see, &seen));
    assert_true(ls_h5_exists(file, "/"));
    assert_true(ls_h5_exists(file, "model"));
    assert_true(ls_h5_exists(file, "/model/deep/y.x"));
    assert_false(ls_h5_exists(file, "model/shallow/y.x"));
    assert_false(ls_h5_exists(file, "a/b"));
    struct ls_h5_dataset info;
    assert_fails(LS_INPUT, "has no dataset 'images'; it has: model/z, model/y, model/x, ",
                 ls_h5_describe(file, "images", &info));
    assert_fails(LS_INPUT, "'model'", ls_h5_describe(file, "model", &info));
    ls_h5_close(file);
}

// No character is cut in the middle, and no name begins that has no room.
static void lists_long_names_of_utf8(void **state) {
    (void)state;
    float value = 1;
    struct ls_h5 *file = create("long.h5");
    // 59 bytes of one each and 2 of "é"; names of 24 "€", three bytes each.
    assert_ok(ls_h5_write(file, "12345678901234567890123456789012345678901234567890123456789é", LS_F32, 0,
                          NULL, &value));
    for (char name[] = "€€€€€€€€€€€€€€€€€€€€€€€€a"; name[72] < 'f'; name[72]++)
        assert_ok(ls_h5_write(file, name, LS_F32, 0, NULL, &value));
    assert_ok(ls_h5_finish(file));
    file = reopen("long.h5");
    struct ls_h5_dataset info;
    assert_fails(LS_INPUT,
                 "it has: 12345678901234567890123456789012345678901234567890123456789…, "
                 "€€€€€€€€€€€€€€€€€€€€…, €€€€€€€€€€€€€€€€€€€€…, …",
                 ls_h5_describe(file, "images", &info));
    assert_null(ls_text_find_invalid(ls_error_last()->text));
    ls_h5_close(file);
}

static void names_what_is_wrong_with_a_file(void **state) {
    (void)state;
    struct ls_h5 *file = create("good.h5");
    float data[3000] = {1};
    int64_t dim = 3000;
    assert_ok(ls_h5_write(file, "x", LS_F32, 1, &dim, data));
    assert_ok(ls_h5_finish(file));
    size_t bytes;
    unsigned char *whole = scratch_read(scratch("good.h5"), &bytes);
    char words[128];
    snprintf(words, sizeof words, "cut.h5: is truncated: 8000 bytes, its superblock says %zu", bytes);
    scratch_write(scratch("cut.h5"), whole, 8000);
    assert_fails(LS_INPUT, words, ls_h5_open(scratch("cut.h5"), &file));
    assert_null(file);
    scratch_write(scratch("cut.h5"), whole, bytes - 1);
    assert_fails(LS_INPUT, "is truncated", ls_h5_open(scratch("cut.h5"), &file));
    scratch_write(scratch("cut.h5"), whole, 20);
    assert_fails(LS_INPUT, "cut.h5: ", ls_h5_open(scratch("cut.h5"), &file));
    scratch_write(scratch("empty.h5"), whole, 0);
    assert_fails(LS_INPUT, "empty.h5: is not an HDF5 file: it is empty",
                 ls_h5_open(scratch("empty.h5"), &file));
    scratch_write(scratch("text.h5"), "a,b\n1,2\n", 8);
    assert_fails(LS_INPUT, "text.h5: is not an HDF5 file", ls_h5_open(scratch("text.h5"), &file));
    assert_fails(LS_INPUT, "gone.h5: no such file", ls_h5_open(scratch("gone.h5"), &file));
    assert_fails(LS_INPUT, "found a folder", ls_h5_open(scratch_folder, &file));
    assert_fails(LS_SYSTEM, "cannot create: No such file", ls_h5_create(scratch("no/folder.h5"), &file));
    whole[13] ^= 1; // of the superblock, which has a checksum
    scratch_write(scratch("bent.h5"), whole, bytes);
    assert_fails(LS_INPUT, "bent.h5: ", ls_h5_open(scratch("bent.h5"), &file));
    free(whole);
}

static void write_sample(const char *name) {
    int64_t dim[2] = {400, 30};
    float data[12000];
    for (int i = 0; i < 12000; i++) data[i] = (float)i;
    struct ls_h5 *file = create(name);
    assert_ok(ls_h5_make_group(file, "g"));
    assert_ok(ls_h5_make(file, "g/x", LS_F32, 2, dim));
    assert_ok(ls_h5_make(file, "g/y", LS_F32, 2, dim));
    // By turns, backwards, and one row never: it is zero.
    for (int i = 300; i >= 0; i -= 100) {
        assert_ok(ls_h5_write_rows(file, "g/x", i, 100, LS_F32, data + i * 30));
        assert_ok(ls_h5_write_rows(file, "g/y", i, i ? 100 : 99, LS_F32, data + i * 30));
    }
    assert_ok(ls_h5_set_text(file, "g/x", "axes", "NC"));
    for (char attr[] = "a"; attr[0] < 'm'; attr[0]++)
        assert_ok(ls_h5_set_f64(file, "/", attr, (double[]){attr[0]}, 1));
    assert_ok(ls_h5_finish(file));
}

static void the_same_calls_make_the_same_bytes(void **state) {
    (void)state;
    write_sample("a.h5");
    sleep(1); // a time in the file would show
    write_sample("b.h5");
    assert_true(scratch_same(scratch("a.h5"), scratch("b.h5")));
    struct ls_h5 *file = reopen("a.h5");
    float row[90];
    assert_ok(ls_h5_read_rows(file, "g/y", 98, 3, LS_F32, row));
    assert_true(row[0] == 98 * 30 && row[30] == 0 && row[59] == 0 && row[60] == 100 * 30);
    assert_ok(ls_h5_read_rows(file, "g/x", 98, 3, LS_F32, row));
    for (int i = 0; i < 90; i++) assert_true(row[i] == (float)(98 * 30 + i));
    ls_h5_close(file);
}

// Writes 800 kB in ten datasets, until it fails or ends. The library must be of use afterwards.
static ls_status write_ten(const char *path) {
    struct ls_h5 *file;
    float data[20000] = {0};
    int64_t dim = 20000;
    LS_TRY(ls_h5_create(path, &file));
    ls_status status = LS_OK;
    for (char name[] = "a"; status == LS_OK && name[0] < 'k'; name[0]++)
        status = ls_h5_write(file, name, LS_F32, 1, &dim, data);
    if (status == LS_OK) return ls_h5_finish(file);
    ls_h5_close(file);
    return status;
}

// In a process of its own, which ends by exit: the library ends there too. 0: written; 1: refused as it
// should be.
static int write_apart(const char *path, rlim_t limit) {
    pid_t child = fork();
    if (child == 0) {
        struct rlimit bound = {limit, RLIM_INFINITY};
        signal(SIGSEGV, SIG_DFL);
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &bound);
        ls_status status = write_ten(path);
        if (status != LS_OK && (status != LS_SYSTEM || !strstr(ls_error_last()->text, path))) exit(100);
        bound.rlim_cur = RLIM_INFINITY;
        setrlimit(RLIMIT_FSIZE, &bound);
        if (write_ten(scratch("after.h5")) != LS_OK ||
            !scratch_same(scratch("after.h5"), scratch("before.h5")))
            exit(101);
        if (status == LS_OK && !scratch_same(path, scratch("before.h5"))) exit(102);
        bound.rlim_cur = limit;
        setrlimit(RLIMIT_FSIZE, &bound);
        exit(status == LS_OK ? 0 : 1);
    }
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    return WEXITSTATUS(result);
}

static void a_limit_to_files_is_an_error_and_no_more(void **state) {
    (void)state;
    assert_ok(write_ten(scratch("before.h5")));
    int results[2] = {0};
    for (rlim_t limit = 0; limit < 1200000; limit += limit < 3000 ? 173 : 17777) {
        int result = write_apart(scratch("limited.h5"), limit);
        assert_in_range(result, 0, 1);
        results[result]++;
    }
    assert_true(results[0] > 3 && results[1] > 50);
}

// On a disk of so many pages. Needs the right to mount one.
static void a_full_disk_is_an_error_and_no_more(void **state) {
    (void)state;
    int results[2] = {0};
    assert_ok(write_ten(scratch("before.h5")));
    assert_int_equal(mkdir(scratch("disk"), 0777), 0);
    for (int pages = 1; pages < 215; pages += pages < 10 || pages > 190 ? 1 : 13) {
        char size[64];
        snprintf(size, sizeof size, "size=%dk", 4 * pages);
        if (mount("none", scratch("disk"), "tmpfs", 0, size) != 0) skip();
        if (pages < 3) scratch_write(scratch("disk/taken"), size, 1); // nothing is left for the first
        int result = write_apart(scratch("disk/x.h5"), RLIM_INFINITY);
        assert_int_equal(umount(scratch("disk")), 0);
        assert_in_range(result, 0, 1);
        results[result]++;
    }
    assert_true(results[0] > 3 && results[1] > 20);
}

static int open_descriptors(void) {
    int n = 0;
    for (int fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void a_file_given_up_is_let_go(void **state) {
    (void)state;
    int64_t dim = 100000;
    int before = open_descriptors();
    for (int i = 0; i < 20; i++) {
        struct ls_h5 *file = create("given up.h5");
        assert_ok(ls_h5_make(file, "x", LS_F32, 1, &dim));
        ls_h5_close(file);
    }
    assert_int_equal(open_descriptors(), before);
    ls_h5_close(NULL);
    struct ls_h5 *file;
    assert_int_not_equal(ls_h5_open(scratch("given up.h5"), &file), LS_OK);
}

struct job {
    int id;
    bool right;
};

static void *write_and_read(void *context) {
    struct job *job = context;
    char name[32];
    snprintf(name, sizeof name, "%s/%d.h5", "", job->id);
    char path[512];
    snprintf(path, sizeof path, "%s%s", scratch_folder, name);
    job->right = true;
    for (int round = 0; round < 20; round++) {
        struct ls_h5 *file;
        int64_t dim = 2000;
        int32_t data[2000], back[10] = {0};
        for (int i = 0; i < 2000; i++) data[i] = i * job->id + round;
        bool ok = ls_h5_create(path, &file) == LS_OK &&
                  ls_h5_write(file, "x", LS_I32, 1, &dim, data) == LS_OK && ls_h5_finish(file) == LS_OK &&
                  ls_h5_open(path, &file) == LS_OK;
        for (int i = 0; ok && i < 2000; i += 100)
            ok = ls_h5_read_rows(file, "x", i, 10, LS_I32, back) == LS_OK &&
                 memcmp(back, data + i, sizeof back) == 0;
        ok = ok && ls_h5_read_rows(file, "y", 0, 1, LS_I32, back) == LS_INPUT;
        job->right = job->right && ok && strstr(ls_error_last()->text, path);
        if (ok) ls_h5_close(file);
    }
    return NULL;
}

static void threads_take_turns(void **state) {
    (void)state;
    pthread_t threads[4];
    struct job jobs[4];
    for (int i = 0; i < 4; i++) {
        jobs[i] = (struct job){.id = i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, write_and_read, &jobs[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(jobs[i].right);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_drop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(every_type_comes_back),
        TEST(rows_are_written_and_read_in_pieces),
        TEST(large_data_come_back),
        TEST(values_and_empty_datasets),
        TEST(strings_and_attributes),
        TEST(visits_in_creation_order),
        TEST(lists_long_names_of_utf8),
        TEST(names_what_is_wrong_with_a_file),
        TEST(the_same_calls_make_the_same_bytes),
        TEST(a_limit_to_files_is_an_error_and_no_more),
        TEST(a_full_disk_is_an_error_and_no_more),
        TEST(a_file_given_up_is_let_go),
        TEST(threads_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
