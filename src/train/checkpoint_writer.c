// Writing while training continues: a thread with its own copy of what it writes.
#include "base/clock.h"
#include "base/log.h"
#include "train/checkpoint_parts.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct ls_checkpoint_writer {
    char *folder;
    int64_t keep;
    uint64_t audits_every;     // steps; 0: never
    struct ls_checkpoint copy; // the thread's while `busy`, else the caller's
    pthread_t thread;
    pthread_mutex_t lock; // of what follows
    pthread_cond_t changed;
    bool busy, closing;
    struct ls_error first_error, newest_error; // of all writes; of the last one: LS_OK where that went well
    void (*done)(void *context, uint64_t step, const char *path, double seconds, uint64_t bytes);
    void *done_context;
};

static void tell(struct ls_checkpoint_writer *writer, double seconds) {
    uint64_t step = writer->copy.state.step;
    char *path = ls_checkpoint_path(writer->folder, step, "");
    struct stat info = {0};
    if (writer->done && path && stat(path, &info) == 0)
        writer->done(writer->done_context, step, path, seconds, (uint64_t)info.st_size);
    free(path);
}

// Files behind this step are left from before a resume that passed them over: they are no reason to remove
// others.
static void prune(const struct ls_checkpoint_writer *writer) {
    const struct ls_checkpoint_state *state = &writer->copy.state;
    const uint64_t unaudited = writer->audits_every ? state->step % writer->audits_every : 0;
    ls_checkpoint_prune(writer->folder, writer->keep,
                        isnan(state->best_score) ? UINT64_MAX : state->best_step, state->step - unaudited,
                        state->step);
}

static void warn(void) {
    ls_warn("%s; training goes on", ls_error_last()->text);
}

// With the lock.
static void note_error(struct ls_checkpoint_writer *writer, struct ls_error error) {
    writer->newest_error = error;
    if (writer->first_error.status == LS_OK) writer->first_error = error;
}

static ls_status write_one(struct ls_checkpoint_writer *writer) {
    double begin = ls_now();
    ls_status status = ls_checkpoint_write(writer->folder, &writer->copy);
    if (status != LS_OK) {
        warn();
        return status;
    }
    tell(writer, ls_now() - begin);
    prune(writer);
    return LS_OK;
}

static void *run(void *context) {
    struct ls_checkpoint_writer *writer = context;
    pthread_mutex_lock(&writer->lock);
    for (;;) {
        while (!writer->busy && !writer->closing) pthread_cond_wait(&writer->changed, &writer->lock);
        if (!writer->busy) break;
        pthread_mutex_unlock(&writer->lock);
        ls_status status = write_one(writer);
        pthread_mutex_lock(&writer->lock);
        note_error(writer, status == LS_OK ? (struct ls_error){0} : *ls_error_last());
        writer->busy = false;
        pthread_cond_broadcast(&writer->changed);
    }
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

static void wait_until_idle(struct ls_checkpoint_writer *writer) {
    while (writer->busy) pthread_cond_wait(&writer->changed, &writer->lock);
}

// ---- memory

static ls_status copy_text(const char **to, const char *from) {
    free((char *)*to);
    *to = strdup(from ? from : "");
    return *to ? LS_OK : LS_FAIL(LS_SYSTEM, "out of memory for the texts of a checkpoint");
}

static ls_status copy_texts(struct ls_checkpoint *to, const struct ls_checkpoint *from) {
    LS_TRY(copy_text(&to->recipe, from->recipe));
    LS_TRY(copy_text(&to->model, from->model));
    LS_TRY(copy_text(&to->fingerprint, from->fingerprint));
    LS_TRY(copy_text(&to->version, from->version));
    LS_TRY(copy_text(&to->choices, from->choices));
    return copy_text(&to->class_names, from->class_names);
}

static ls_status make_buffer(float **buffer, size_t floats) {
    *buffer = calloc(floats ? floats : 1, sizeof **buffer);
    return *buffer ? LS_OK
                   : LS_FAIL(LS_SYSTEM, "out of memory for the %zu bytes of a checkpoint", floats * 4);
}

static ls_status make_copy(struct ls_checkpoint *copy, const struct ls_layout *layout,
                           const struct ls_checkpoint *like) {
    copy->layout = layout;
    LS_TRY(copy_texts(copy, like));
    LS_TRY(make_buffer(&copy->params, layout->param_floats));
    LS_TRY(make_buffer(&copy->states, layout->state_floats));
    for (int i = 0; i < LS_MAX_SLOTS; i++) {
        if (!like->slot_names[i]) continue;
        LS_TRY(copy_text(&copy->slot_names[i], like->slot_names[i]));
        LS_TRY(make_buffer(&copy->slot[i], layout->trained_floats));
    }
    if (!like->average) return LS_OK;
    LS_TRY(make_buffer(&copy->average, layout->param_floats));
    return make_buffer(&copy->average_states, layout->state_floats);
}

static void free_writer(struct ls_checkpoint_writer *writer) {
    struct ls_checkpoint *copy = &writer->copy;
    const char *const texts[] = {copy->recipe,  copy->model,       copy->fingerprint,
                                 copy->version, copy->class_names, copy->choices};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) free((char *)texts[i]);
    for (int i = 0; i < LS_MAX_SLOTS; i++) {
        free((char *)copy->slot_names[i]);
        free(copy->slot[i]);
    }
    free(copy->params);
    free(copy->states);
    free(copy->average);
    free(copy->average_states);
    free(writer->folder);
    free(writer);
}

// ---- for the training thread

// Signals are the business of other threads.
static int start_thread(struct ls_checkpoint_writer *writer) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int error = pthread_create(&writer->thread, NULL, run, writer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

ls_status ls_checkpoint_writer_open(const char *folder, const struct ls_layout *layout,
                                    const struct ls_checkpoint *like, int64_t keep,
                                    struct ls_checkpoint_writer **result) {
    *result = NULL;
    struct ls_checkpoint_writer *writer = calloc(1, sizeof *writer);
    if (!writer) return LS_FAIL(LS_SYSTEM, "out of memory for the writer of checkpoints");
    writer->folder = strdup(folder);
    writer->keep = keep;
    ls_status status = writer->folder ? make_copy(&writer->copy, layout, like)
                                      : LS_FAIL(LS_SYSTEM, "out of memory for the writer of checkpoints");
    if (status == LS_OK) {
        pthread_mutex_init(&writer->lock, NULL);
        pthread_cond_init(&writer->changed, NULL);
        int error = start_thread(writer);
        if (error) status = LS_FAIL(LS_SYSTEM, "cannot start the writer of checkpoints: %s", strerror(error));
    }
    if (status != LS_OK) {
        free_writer(writer);
        return status;
    }
    *result = writer;
    return LS_OK;
}

static void copy_floats(float *to, const float *from, size_t n) {
    if (n > 0) memcpy(to, from, n * sizeof *to);
}

static void copy_arrays(struct ls_checkpoint *to, const struct ls_checkpoint *from) {
    const struct ls_layout *layout = to->layout;
    copy_floats(to->params, from->params, layout->param_floats);
    copy_floats(to->states, from->states, layout->state_floats);
    for (int i = 0; i < LS_MAX_SLOTS; i++)
        if (to->slot_names[i]) copy_floats(to->slot[i], from->slot[i], layout->trained_floats);
    if (to->average) copy_floats(to->average, from->average, layout->param_floats);
    if (to->average) copy_floats(to->average_states, from->average_states, layout->state_floats);
    to->state = from->state;
}

void ls_checkpoint_writer_start(struct ls_checkpoint_writer *writer, const struct ls_checkpoint *checkpoint) {
    pthread_mutex_lock(&writer->lock);
    wait_until_idle(writer);
    copy_arrays(&writer->copy, checkpoint);
    writer->busy = true;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
}

void ls_checkpoint_writer_refuse(struct ls_checkpoint_writer *writer) {
    pthread_mutex_lock(&writer->lock);
    wait_until_idle(writer);
    note_error(writer, *ls_error_last());
    pthread_mutex_unlock(&writer->lock);
    warn();
}

static ls_status wait_for(struct ls_checkpoint_writer *writer, const struct ls_error *error) {
    pthread_mutex_lock(&writer->lock);
    wait_until_idle(writer);
    ls_status status = error->status == LS_OK ? LS_OK : ls_error_adopt(error);
    pthread_mutex_unlock(&writer->lock);
    return status;
}

ls_status ls_checkpoint_writer_flush(struct ls_checkpoint_writer *writer) {
    return wait_for(writer, &writer->newest_error);
}

ls_status ls_checkpoint_writer_finish(struct ls_checkpoint_writer *writer) {
    return wait_for(writer, &writer->first_error);
}

void ls_checkpoint_writer_close(struct ls_checkpoint_writer *writer) {
    if (!writer) return;
    pthread_mutex_lock(&writer->lock);
    writer->closing = true;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);
    pthread_cond_destroy(&writer->changed);
    pthread_mutex_destroy(&writer->lock);
    free_writer(writer);
}

void ls_checkpoint_writer_audits_every(struct ls_checkpoint_writer *writer, uint64_t every) {
    pthread_mutex_lock(&writer->lock);
    wait_until_idle(writer);
    writer->audits_every = every;
    pthread_mutex_unlock(&writer->lock);
}

void ls_checkpoint_writer_on_done(struct ls_checkpoint_writer *writer,
                                  void (*done)(void *context, uint64_t step, const char *path, double seconds,
                                               uint64_t bytes),
                                  void *context) {
    pthread_mutex_lock(&writer->lock);
    wait_until_idle(writer);
    writer->done = done;
    writer->done_context = context;
    pthread_mutex_unlock(&writer->lock);
}
