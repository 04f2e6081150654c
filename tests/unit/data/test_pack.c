// IDX files into shards: what is in them, and every way in which a source can be bad.
#include "unit/scratch.h"

#include "base/hash.h"
#include "base/philox.h"
#include "data/pack.h"
#include "data/shard.h"
#include "h5/h5.h"

#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <zlib.h>

// ---- IDX files

struct idx {
    unsigned char data[20000];
    size_t bytes;
};

static void put(struct idx *idx, const void *bytes, size_t n) {
    assert_true(idx->bytes + n <= sizeof idx->data);
    memcpy(idx->data + idx->bytes, bytes, n);
    idx->bytes += n;
}

// A header of `axes` lengths, and as many pseudo-random bytes as they say, modulo `below`.
static void make_idx(struct idx *idx, int axes, const uint32_t *length, uint32_t below) {
    unsigned char head[4] = {0, 0, 8, (unsigned char)axes};
    uint32_t count = 1;
    idx->bytes = 0;
    put(idx, head, 4);
    for (int i = 0; i < axes; i++) {
        unsigned char big[4] = {(unsigned char)(length[i] >> 24), (unsigned char)(length[i] >> 16),
                                (unsigned char)(length[i] >> 8), (unsigned char)length[i]};
        put(idx, big, 4);
        count *= length[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        unsigned char value = (unsigned char)(ls_philox(5, LS_RANDOM_TEST, i, below).word[0] % below);
        put(idx, &value, 1);
    }
}

static struct idx images, labels;

static void save(const char *name, const struct idx *idx) {
    scratch_write(scratch(name), idx->data, idx->bytes);
}

static void save_gzip(const char *name, const struct idx *idx, const char *mode) {
    gzFile file = gzopen(scratch(name), mode);
    assert_int_equal(gzwrite(file, idx->data, (unsigned)idx->bytes), idx->bytes);
    assert_int_equal(gzclose(file), Z_OK);
}

// What is asked for, in one.
struct job {
    const char *images, *labels, *folder, *name, *class_names;
    int shards;
};

static ls_status write_all(struct ls_pack_work *work) {
    uint64_t content;
    int64_t kept, written;
    LS_TRY(ls_pack_check(work, &content));
    return ls_pack_run(work, content, &kept, &written);
}

static ls_status pack(const struct job *job) {
    struct ls_pack_idx idx = {.images = job->images, .labels = job->labels, .class_names = job->class_names};
    struct ls_pack_job packing = {.folder = job->folder,
                                  .name = job->name,
                                  .test_name = "test",
                                  .shards = job->shards,
                                  .replace = true,
                                  .threads = 2,
                                  .ranks = 1};
    struct ls_pack_source *source;
    struct ls_pack_work *work = NULL;
    struct ls_pack_plan plan;
    LS_TRY(ls_pack_idx_open(&idx, &source));
    ls_status status = ls_pack_open(&packing, source, &work, &plan);
    if (status == LS_OK) status = write_all(work);
    ls_pack_close(work);
    ls_pack_source_close(source);
    return status;
}

// 11 samples of 5 x 3.
static struct job make_source(void) {
    static const uint32_t length[3] = {11, 5, 3};
    static char images_path[512], labels_path[512], folder[512];
    make_idx(&images, 3, length, 256);
    make_idx(&labels, 1, length, 10);
    save("images", &images);
    save("labels", &labels);
    snprintf(images_path, sizeof images_path, "%s", scratch("images"));
    snprintf(labels_path, sizeof labels_path, "%s", scratch("labels"));
    snprintf(folder, sizeof folder, "%s", scratch("out/deep"));
    return (struct job){
        .images = images_path, .labels = labels_path, .folder = folder, .name = "train", .shards = 3};
}

// ---- what is in a shard

static void check_shard(const char *name, int64_t first, int64_t n, size_t head, size_t sample_bytes) {
    struct ls_h5 *file;
    struct ls_h5_dataset info;
    unsigned char samples[1000];
    int32_t targets[20];
    uint64_t ids[20];
    uint32_t crcs[20];
    assert_ok(ls_h5_open(scratch(name), &file));
    assert_ok(ls_h5_describe(file, "images", &info));
    assert_true(info.rank == 4 && info.dim[0] == n && info.type == LS_U8 &&
                info.storage == LS_H5_CONTIGUOUS && !info.swapped);
    assert_ok(ls_h5_read_all(file, "images", LS_U8, samples));
    assert_memory_equal(samples, images.data + head + (size_t)first * sample_bytes, (size_t)n * sample_bytes);
    assert_ok(ls_h5_describe(file, "labels", &info));
    assert_true(info.rank == 1 && info.dim[0] == n && info.type == LS_I32 &&
                info.storage == LS_H5_CONTIGUOUS);
    assert_ok(ls_h5_read_all(file, "labels", LS_I32, targets));
    assert_ok(ls_h5_describe(file, "ids", &info));
    assert_int_equal(info.type, LS_U64);
    assert_ok(ls_h5_read_all(file, "ids", LS_U64, ids));
    assert_ok(ls_h5_describe(file, "crc32c", &info));
    assert_int_equal(info.type, LS_U32);
    assert_ok(ls_h5_read_all(file, "crc32c", LS_U32, crcs));
    for (int64_t i = 0; i < n; i++) {
        unsigned char both[512];
        assert_int_equal(targets[i], labels.data[8 + first + i]);
        assert_int_equal(ids[i], first + i);
        memcpy(both, samples + (size_t)i * sample_bytes, sample_bytes);
        memcpy(both + sample_bytes, (unsigned char[4]){(unsigned char)targets[i]}, 4);
        assert_int_equal(crcs[i], ls_crc32c(0, both, sample_bytes + 4));
    }
    ls_h5_close(file);
}

static void check_text(struct ls_h5 *file, const char *attr, const char *expected) {
    char text[64];
    bool found;
    assert_ok(ls_h5_attr_text(file, "/", attr, text, sizeof text, &found));
    assert_string_equal(text, expected);
}

static void check_number(struct ls_h5 *file, const char *attr, int64_t expected) {
    int64_t number = -1;
    bool found;
    assert_ok(ls_h5_attr_i64(file, "/", attr, &number, &found));
    assert_int_equal(number, expected);
}

static void samples_go_to_shards_in_order(void **state) {
    (void)state;
    struct job job = make_source();
    assert_ok(pack(&job));
    assert_int_equal(scratch_count(job.folder, ""), 3);
    check_shard("out/deep/train-00000-of-00003.h5", 0, 3, 16, 15);
    check_shard("out/deep/train-00001-of-00003.h5", 3, 4, 16, 15);
    check_shard("out/deep/train-00002-of-00003.h5", 7, 4, 16, 15);
    job.shards = 11;
    job.name = "each";
    assert_ok(pack(&job));
    check_shard("out/deep/each-00010-of-00011.h5", 10, 1, 16, 15);
}

static void a_shard_says_what_it_is(void **state) {
    (void)state;
    static const char names[] = "T-shirt\r\nHose\nc\nd\ne\nf\n\ng\nh\ni\nGru\xc3\x9f";
    struct job job = make_source();
    struct ls_h5 *file;
    double mean[4], std[4], sum = 0, squares = 0;
    char *joined;
    int n;
    scratch_write(scratch("names"), names, sizeof names - 1);
    job.class_names = scratch("names");
    assert_ok(pack(&job));
    assert_ok(ls_h5_open(scratch("out/deep/train-00001-of-00003.h5"), &file));
    check_text(file, LS_SHARD_ATTR_FORMAT, LS_SHARD_FORMAT);
    check_text(file, LS_SHARD_ATTR_SPLIT, "train");
    check_text(file, LS_SHARD_ATTR_AXES, "NHWC");
    check_number(file, LS_SHARD_ATTR_VERSION, LS_SHARD_VERSION);
    check_number(file, LS_SHARD_ATTR_SHARD, 1);
    check_number(file, LS_SHARD_ATTR_SHARDS, 3);
    // Of the shard, which holds samples 3 to 6.
    for (int i = 45; i < 105; i++) sum += images.data[16 + i] / 255.0;
    for (int i = 45; i < 105; i++) squares += pow(images.data[16 + i] / 255.0 - sum / 60, 2);
    assert_ok(ls_h5_attr_f64(file, "/", LS_SHARD_ATTR_MEAN, mean, 4, &n));
    assert_true(n == 1 && fabs(mean[0] - sum / 60) < 1e-12);
    assert_ok(ls_h5_attr_f64(file, "/", LS_SHARD_ATTR_STD, std, 4, &n));
    assert_true(n == 1 && fabs(std[0] - sqrt(squares / 60)) < 1e-12);
    assert_ok(ls_h5_read_strings(file, "class_names", &joined, &n));
    assert_int_equal(n, 10);
    assert_string_equal(joined, "T-shirt");
    free(joined);
    ls_h5_close(file);
}

static void read_uuid(const char *name, char uuid[64]) {
    struct ls_h5 *file;
    bool found;
    assert_ok(ls_h5_open(scratch(name), &file));
    assert_ok(ls_h5_attr_text(file, "/", LS_SHARD_ATTR_UUID, uuid, 64, &found));
    assert_true(found);
    ls_h5_close(file);
}

static void the_same_source_makes_the_same_bytes(void **state) {
    (void)state;
    struct job job = make_source();
    char first[64], second[64], third[64];
    assert_ok(pack(&job));
    job.folder = scratch("again");
    assert_ok(pack(&job));
    assert_ok(pack(&job)); // over itself
    static const char *const shards[] = {"train-00000-of-00003.h5", "train-00001-of-00003.h5",
                                         "train-00002-of-00003.h5"};
    for (int i = 0; i < 3; i++) {
        char a[128], b[128];
        snprintf(a, sizeof a, "out/deep/%s", shards[i]);
        snprintf(b, sizeof b, "again/%s", shards[i]);
        assert_true(scratch_same(scratch(a), scratch(b)));
    }
    // However it is cut, it is the same set; with one bit changed it is another.
    read_uuid("again/train-00000-of-00003.h5", first);
    job.folder = scratch("cut");
    job.shards = 1;
    assert_ok(pack(&job));
    read_uuid("cut/train-00000-of-00001.h5", second);
    assert_string_equal(first, second);
    assert_int_equal(strlen(first), 36);
    assert_true(first[14] == '8' && strchr("89ab", first[19]));
    labels.data[10] ^= 1;
    save("labels", &labels);
    assert_ok(pack(&job));
    read_uuid("cut/train-00000-of-00001.h5", third);
    assert_string_not_equal(first, third);
}

static void color_images_and_gzip(void **state) {
    (void)state;
    static const uint32_t length[4] = {5, 4, 6, 3};
    struct job job = make_source();
    make_idx(&images, 4, length, 200);
    make_idx(&labels, 1, length, 3);
    save("images", &images);
    save("labels", &labels);
    job.shards = 2;
    assert_ok(pack(&job));
    check_shard("out/deep/train-00000-of-00002.h5", 0, 2, 20, 72);
    check_shard("out/deep/train-00001-of-00002.h5", 2, 3, 20, 72);
    struct ls_h5 *file;
    double mean[4], sum = 0;
    int n;
    assert_ok(ls_h5_open(scratch("out/deep/train-00001-of-00002.h5"), &file));
    assert_ok(ls_h5_attr_f64(file, "/", LS_SHARD_ATTR_MEAN, mean, 4, &n));
    for (int i = 145; i < 360; i += 3) sum += images.data[20 + i] / 255.0; // samples 2 to 4
    assert_true(n == 3 && fabs(mean[1] - sum / 72) < 1e-12);
    ls_h5_close(file);

    save_gzip("images", &images, "wb9");
    save_gzip("labels", &labels, "wb1");
    job.folder = scratch("zipped");
    assert_ok(pack(&job));
    assert_true(
        scratch_same(scratch("out/deep/train-00001-of-00002.h5"), scratch("zipped/train-00001-of-00002.h5")));
    // Two members, one behind the other.
    struct idx front = images, back = images;
    front.bytes = 100;
    back.bytes = images.bytes - 100;
    memmove(back.data, images.data + 100, back.bytes);
    save_gzip("images", &front, "wb");
    save_gzip("images", &back, "ab");
    job.folder = scratch("twice");
    assert_ok(pack(&job));
    assert_true(
        scratch_same(scratch("out/deep/train-00001-of-00002.h5"), scratch("twice/train-00001-of-00002.h5")));
}

// ---- bad sources

static void refused(const struct job *job, const char *words) {
    assert_fails(LS_INPUT, words, pack(job));
    assert_int_equal(scratch_count(scratch_folder, ".h5"), 0);
    assert_int_equal(scratch_count(scratch_folder, ".tmp"), 0);
}

static void bend(struct job *job, const char *name, size_t at, unsigned char value, const char *words) {
    *job = make_source();
    struct idx *idx = strcmp(name, "images") == 0 ? &images : &labels;
    idx->data[at] = value;
    save(name, idx);
    refused(job, words);
}

static void cut(struct job *job, const char *name, size_t bytes, const char *words) {
    *job = make_source();
    struct idx *idx = strcmp(name, "images") == 0 ? &images : &labels;
    idx->bytes = bytes;
    save(name, idx);
    refused(job, words);
}

static void bad_headers_are_refused(void **state) {
    (void)state;
    struct job job;
    bend(&job, "images", 0, 1, "images: is not an IDX file: expected magic 00 00 08 03, found 01 00 08 03");
    bend(&job, "labels", 1, 7, "labels: is not an IDX file: expected magic 00 00 08 01, found 00 07 08 01");
    bend(&job, "images", 2, 0x0d, "images: expected IDX numbers of type 0x08 (u8), found type 0x0d");
    bend(&job, "images", 3, 1, "images: expected 3 or 4 IDX axes (images), found 1");
    bend(&job, "images", 3, 5, "images: expected 3 or 4 IDX axes (images), found 5");
    bend(&job, "labels", 3, 3, "labels: expected 1 IDX axes (labels), found 3");
    bend(&job, "images", 11, 0,
         "images: expected samples of 1 to 1073741824 bytes, found an array [11, 0, 3]");
    bend(&job, "images", 15, 0,
         "images: expected samples of 1 to 1073741824 bytes, found an array [11, 5, 0]");
    bend(&job, "images", 12, 0xff,
         "images: expected samples of 1 to 1073741824 bytes, found an array [11, 5, 4278190083]");
    bend(&job, "images", 8, 0xff, "images: expected samples of 1 to 1073741824 bytes");
    job = make_source();
    images.data[7] = labels.data[7] = 0;
    save("images", &images);
    save("labels", &labels);
    refused(&job, "images: expected samples, found none");
    cut(&job, "images", 0, "images: is truncated: expected 4 bytes of IDX magic, found 0");
    cut(&job, "images", 3, "images: is truncated: expected 4 bytes of IDX magic, found 3");
    cut(&job, "labels", 6, "labels: is truncated: expected 4 bytes of IDX header, found 2");
    job = make_source();
    job.images = scratch("missing");
    refused(&job, "missing: cannot open: No such file");
    job.images = scratch_folder;
    refused(&job, "cannot read: Is a directory");
}

static void bad_lengths_are_refused(void **state) {
    (void)state;
    struct job job;
    cut(&job, "images", 16 + 165 - 1,
        "images: is truncated: its header says 11 samples of 15 bytes, found 10 whole ones");
    cut(&job, "images", 16,
        "images: is truncated: its header says 11 samples of 15 bytes, found 0 whole ones");
    cut(&job, "labels", 8 + 10,
        "labels: is truncated: its header says 11 samples of 1 bytes, found 10 whole ones");
    job = make_source();
    labels.data[7] = 10;
    labels.bytes--;
    save("labels", &labels);
    refused(&job, "labels: expected 11 targets, one for each sample of");
    job = make_source();
    put(&images, "x", 1);
    save("images", &images);
    refused(&job, "images: expected its end behind 11 samples, found more bytes");
    job = make_source();
    put(&labels, "x", 1);
    save("labels", &labels);
    refused(&job, "labels: expected its end behind 11 samples, found more bytes");
}

static void bad_gzip_is_refused(void **state) {
    (void)state;
    struct job job = make_source();
    size_t bytes;
    save_gzip("images", &images, "wb");
    unsigned char *whole = scratch_read(scratch("images"), &bytes);
    scratch_write(scratch("images"), whole, bytes - 1);
    refused(&job, "images: is truncated: its gzip data breaks off");
    scratch_write(scratch("images"), whole, 40);
    refused(&job, "images: is truncated: its gzip data breaks off");
    whole[60] ^= 0x55;
    scratch_write(scratch("images"), whole, bytes);
    refused(&job, "images: ");
    whole[60] ^= 0x55;
    whole[bytes - 6] ^= 1; // the CRC of the content
    scratch_write(scratch("images"), whole, bytes);
    refused(&job, "images: damaged gzip data: incorrect data check");
    whole[bytes - 6] ^= 1;
    unsigned char *longer = malloc(bytes + 1);
    memcpy(longer, whole, bytes);
    longer[bytes] = 0;
    scratch_write(scratch("images"), longer, bytes + 1);
    refused(&job, "images: expected the end behind its gzip data, found more bytes");
    free(longer);
    free(whole);
}

static void bad_jobs_are_refused(void **state) {
    (void)state;
    struct job job = make_source();
    job.shards = -1;
    refused(&job, "found -1");
    job.shards = 12;
    refused(&job, "images: --shards: expected at most 11, a sample in each and no more than 99999, found 12");
    job.shards = 100000;
    refused(&job, "--shards: expected 1 to 99999");
    job.shards = 3;
    job.name = "a/b";
    refused(&job, "expected the name of a split without a slash, found 'a/b'");
    job.name = "";
    refused(&job, "expected the name of a split without a slash");
    job.name = "train";
    scratch_write(scratch("names"), "a\nb\n", 4);
    job.class_names = scratch("names");
    refused(&job, "expected a class below 2, as there are names, found ");
    scratch_write(scratch("names"), "a\nb\na", 5);
    refused(&job, "names:3: class 'a' is there twice");
    job.class_names = NULL;
    scratch_write(scratch("file"), "", 0);
    job.folder = scratch("file");
    refused(&job, "expected a folder, found a file");
}

static void shards_of_another_count_are_kept(void **state) {
    (void)state;
    struct job job = make_source();
    assert_ok(pack(&job));
    job.shards = 4;
    assert_fails(LS_INPUT, "found train-0000", pack(&job));
    assert_int_equal(scratch_count(job.folder, ""), 3);
    job.name = "trai"; // another set, whose name the other's begins with
    assert_ok(pack(&job));
    job.name = "train-00000";
    assert_ok(pack(&job));
}

static void a_full_disk_leaves_nothing(void **state) {
    (void)state;
    struct job job = make_source();
    pid_t child = fork();
    if (child == 0) {
        struct rlimit bound = {100000, RLIM_INFINITY};
        signal(SIGSEGV, SIG_DFL);
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &bound);
        exit(pack(&job));
    }
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), LS_SYSTEM);
    assert_int_equal(scratch_count(job.folder, ""), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_drop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(samples_go_to_shards_in_order),
        TEST(a_shard_says_what_it_is),
        TEST(the_same_source_makes_the_same_bytes),
        TEST(color_images_and_gzip),
        TEST(bad_headers_are_refused),
        TEST(bad_lengths_are_refused),
        TEST(bad_gzip_is_refused),
        TEST(bad_jobs_are_refused),
        TEST(shards_of_another_count_are_kept),
        TEST(a_full_disk_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
