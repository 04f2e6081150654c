// NPY, the format of numpy.save (NEP 1), versions 1 to 3.
//
//     0         6       7       8                       10 or 12
//   ┌─────────┬───────┬───────┬───────────────────────┬──────────────────────────────────┬─────────┐
//   │ \x93NUMPY │ major │ minor │ bytes of the head:      │ the head, a Python dictionary:   │ numbers │
//   │         │       │       │ u16, from 2 on u32    │ {'descr': '<f4', …}, spaces, \n  │         │
//   └─────────┴───────┴───────┴───────────────────────┴──────────────────────────────────┴─────────┘
#include "data/array_parts.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_HEAD = 1 << 20, MOST_TEXT = 64 };

// What the dictionary says.
struct head {
    const char *path, *at; // at: what is still to be read, up to a zero byte
    char descr[MOST_TEXT];
    bool fortran, has_descr, has_fortran, has_shape;
    int rank;
    int64_t dim[LS_ARRAY_MOST_RANK];
};

static ls_status refuse(const struct head *head, const char *expected) {
    return LS_FAIL(LS_INPUT, "%s: has a damaged NPY head: expected %s, found \"%.20s\"", head->path, expected,
                   head->at);
}

static bool take(struct head *head, char wanted) {
    while (isspace((unsigned char)*head->at)) head->at++;
    if (*head->at != wanted) return false;
    head->at++;
    return true;
}

static bool take_word(struct head *head, const char *word) {
    while (isspace((unsigned char)*head->at)) head->at++;
    if (strncmp(head->at, word, strlen(word)) != 0) return false;
    head->at += strlen(word);
    return true;
}

static ls_status take_string(struct head *head, char out[MOST_TEXT]) {
    char quote = take(head, '\'') ? '\'' : take(head, '"') ? '"' : 0;
    const char *end = quote ? strchr(head->at, quote) : NULL;
    if (!end || end - head->at >= MOST_TEXT) return refuse(head, "a text in quotes");
    snprintf(out, MOST_TEXT, "%.*s", (int)(end - head->at), head->at);
    head->at = end + 1;
    return LS_OK;
}

static ls_status take_length(struct head *head, int64_t *length) {
    int64_t value = 0;
    while (isspace((unsigned char)*head->at)) head->at++;
    if (!isdigit((unsigned char)*head->at)) return refuse(head, "a length");
    for (; isdigit((unsigned char)*head->at); head->at++) {
        if (value > INT64_MAX / 16) return refuse(head, "a length of 64 bits");
        value = 10 * value + (*head->at - '0');
    }
    if (*head->at == 'L') head->at++; // of Python 2
    *length = value;
    return LS_OK;
}

static ls_status take_shape(struct head *head) {
    if (!take(head, '(')) return refuse(head, "a shape");
    head->rank = 0;
    while (!take(head, ')')) {
        if (head->rank == LS_ARRAY_MOST_RANK)
            return LS_FAIL(LS_INPUT, "%s: expected an array of at most %d axes", head->path,
                           LS_ARRAY_MOST_RANK);
        LS_TRY(take_length(head, &head->dim[head->rank++]));
        if (take(head, ',')) continue;
        if (!take(head, ')')) return refuse(head, "a comma or the end of the shape");
        break;
    }
    head->has_shape = true;
    return LS_OK;
}

static ls_status take_value(struct head *head, const char *key) {
    if (strcmp(key, "shape") == 0) return take_shape(head);
    if (strcmp(key, "fortran_order") == 0) {
        head->fortran = take_word(head, "True");
        head->has_fortran = head->fortran || take_word(head, "False");
        return head->has_fortran ? LS_OK : refuse(head, "True or False");
    }
    if (strcmp(key, "descr") != 0)
        return LS_FAIL(LS_INPUT, "%s: has a damaged NPY head: nothing is known of '%s'", head->path, key);
    if (take(head, '['))
        return LS_FAIL(LS_INPUT, "%s: holds records of several fields, expected numbers", head->path);
    head->has_descr = true;
    return take_string(head, head->descr);
}

static ls_status read_dictionary(struct head *head) {
    if (!take(head, '{')) return refuse(head, "{");
    while (!take(head, '}')) {
        char key[MOST_TEXT];
        LS_TRY(take_string(head, key));
        if (!take(head, ':')) return refuse(head, "a colon");
        LS_TRY(take_value(head, key));
        if (take(head, ',')) continue;
        if (!take(head, '}')) return refuse(head, "a comma or }");
        break;
    }
    if (head->has_descr && head->has_fortran && head->has_shape) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: has a damaged NPY head: expected descr, fortran_order and shape",
                   head->path);
}

// "<f4": byte order, kind, bytes.
static ls_status set_type(const struct head *head, struct ls_array *array) {
    static const struct {
        const char *kind;
        ls_dtype type;
    } known[] = {{"u1", LS_U8},  {"u2", LS_U16}, {"u4", LS_U32}, {"u8", LS_U64},
                 {"i1", LS_I8},  {"i2", LS_I16}, {"i4", LS_I32}, {"i8", LS_I64},
                 {"f2", LS_F16}, {"f4", LS_F32}, {"f8", LS_F64}, {"b1", LS_U8}};
    const char *descr = head->descr;
    array->type = LS_DTYPES;
    for (size_t i = 0; i < sizeof known / sizeof *known && descr[0]; i++)
        if (strchr("<>=|", descr[0]) && strcmp(descr + 1, known[i].kind) == 0) array->type = known[i].type;
    if (array->type == LS_DTYPES)
        return LS_FAIL(LS_INPUT, "%s: expected integers or floats of 1 to 8 bytes, found type '%s'",
                       head->path, descr);
    const uint16_t one = 1;
    bool little = *(const uint8_t *)&one == 1;
    array->swapped =
        ls_dtype_bytes(array->type) > 1 && ((descr[0] == '<' && !little) || (descr[0] == '>' && little));
    return LS_OK;
}

static ls_status set_array(const struct head *head, struct ls_array *array) {
    LS_TRY(set_type(head, array));
    array->rank = head->rank;
    for (int i = 0; i < head->rank; i++) array->dim[i] = head->dim[i];
    array->by_columns = head->fortran && head->rank > 1;
    return LS_OK;
}

static ls_status read_head(struct ls_array *array) {
    unsigned char magic[8], length[4] = {0};
    LS_TRY(ls_array_head(array, "NPY magic", magic, sizeof magic));
    if (memcmp(magic, "\x93NUMPY", 6) != 0)
        return LS_FAIL(LS_INPUT, "%s: is not an NPY file%s", array->bytes.path,
                       memcmp(magic, "PK\3\4", 4) == 0 ? ", but an NPZ or another ZIP: unpack it first" : "");
    if (magic[6] < 1 || magic[6] > 3)
        return LS_FAIL(LS_INPUT, "%s: is NPY of version %d.%d, expected 1 to 3", array->bytes.path, magic[6],
                       magic[7]);
    size_t width = magic[6] == 1 ? 2 : 4;
    LS_TRY(ls_array_head(array, "NPY head", length, width));
    size_t bytes =
        (size_t)length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 | (size_t)length[3] << 24;
    if (bytes > MOST_HEAD)
        return LS_FAIL(LS_INPUT, "%s: expected an NPY head of at most %d bytes, found %zu", array->bytes.path,
                       MOST_HEAD, bytes);
    char *text = calloc(bytes + 1, 1);
    if (!text) return LS_FAIL(LS_SYSTEM, "%s: out of memory", array->bytes.path);
    struct head head = {.path = array->bytes.path, .at = text};
    ls_status status = ls_array_head(array, "NPY head", text, bytes);
    if (status == LS_OK) status = read_dictionary(&head);
    if (status == LS_OK) status = set_array(&head, array);
    free(text);
    LS_TRY(status);
    return ls_array_check(array);
}

ls_status ls_npy_open(const char *path, struct ls_array *array) {
    *array = (struct ls_array){0};
    LS_TRY(ls_bytes_open(path, &array->bytes));
    ls_status status = read_head(array);
    if (status != LS_OK) ls_array_close(array);
    return status;
}
