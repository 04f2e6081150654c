// Files and folders: whole or not at all.
#pragma once

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/begin.h"

bool ls_file_exists(const char *path);       // of any kind; a link that leads nowhere does not
ls_status ls_make_folders(const char *path); // like mkdir -p
// May a file of this name be made? LS_INPUT where its folder is missing or closed to us, or where it is a
// folder.
ls_status ls_file_may_write(const char *path);
// An empty file in memory, without a name: its descriptor, or -1 and errno.
int ls_file_in_memory(void);
// Bytes that a file may have at most, in memory too, by the limit of this process (ulimit -f); UINT64_MAX:
// any number. To write more would end the process by a signal.
uint64_t ls_file_most_bytes(void);
// Locks the open file for writing, for as long as it is open and whatever else this process opens and closes.
// Works over NFS as far as any lock does. 0, or an error number: EAGAIN where another process has it.
int ls_file_lock(int fd);
// fsync(temporary); rename(temporary, path); fsync(folder of path). On failure the temporary file is removed.
ls_status ls_file_commit(const char *temporary, const char *path);
// Reads a whole file (at most `limit` bytes) into malloc'd memory with a zero byte behind it. LS_INPUT where
// it can't.
ls_status ls_file_read(const char *path, size_t limit, char **text, size_t *bytes);
// Writes via a temporary file in the same folder and ls_file_commit.
ls_status ls_file_write(const char *path, const void *data, size_t bytes);
// Removes what writers of this very file that were killed have left beside it. For whoever has the folder to
// himself: another's file that is under way goes too.
void ls_file_clear(const char *path);
// Names that match the pattern, sorted; a pattern without wildcards stands for itself. Free with
// ls_glob_free.
ls_status ls_glob(const char *pattern, char ***names, int *n);
void ls_glob_free(char **names, int n);

#include "base/end.h"
