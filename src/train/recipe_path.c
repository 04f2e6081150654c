#include "train/recipe_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ls_status ls_recipe_current_folder(struct ls_arena *arena, const char **folder) {
    char *name = getcwd(NULL, 0);
    if (!name) return LS_FAIL(LS_SYSTEM, "the current folder has no name: %s", strerror(errno));
    *folder = ls_arena_copy(arena, name);
    free(name);
    return LS_OK;
}

// Whether ".." behind `path` leads to the folder that its text says.
static bool goes_up_plainly(const char *path) {
    struct stat info;
    const char *last = strrchr(path, '/');
    return strcmp(last, "/..") != 0 && lstat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static const char *append(struct ls_arena *arena, const char *folder, const char *name, size_t n) {
    if (n == 0 || (n == 1 && name[0] == '.')) return folder;
    if (n == 2 && !strncmp(name, "..", 2) && goes_up_plainly(folder)) {
        const char *last = strrchr(folder, '/');
        return last == folder ? "/" : ls_arena_format(arena, "%.*s", (int)(last - folder), folder);
    }
    return ls_arena_format(arena, "%s%s%.*s", folder, strcmp(folder, "/") ? "/" : "", (int)n, name);
}

// The folder as a pattern that only it matches. What has no wildcard at all is taken as it stands.
static const char *escape(struct ls_arena *arena, const char *folder, const char *rest) {
    if (!strpbrk(folder, "*?[") && !strpbrk(rest, "*?[")) return folder;
    char *escaped = ls_arena_alloc(arena, 2 * strlen(folder) + 1), *to = escaped;
    for (const char *s = folder; *s; s++) {
        if (strchr("*?[\\", *s)) *to++ = '\\';
        *to++ = *s;
    }
    return escaped;
}

static bool is_dots(const char *name, size_t n) {
    return (n == 1 && name[0] == '.') || (n == 2 && name[0] == '.' && name[1] == '.');
}

static const char *without_last_slash(struct ls_arena *arena, const char *folder) {
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/') n--;
    return ls_arena_format(arena, "%.*s", (int)n, folder);
}

const char *ls_recipe_join(struct ls_arena *arena, const char *folder, const char *path, bool pattern) {
    if (path[0] == '/') return ls_arena_copy(arena, path);
    folder = without_last_slash(arena, folder);
    while (*path) {
        size_t n = strcspn(path, "/");
        if (pattern && n > 0 && !is_dots(path, n)) {
            folder = escape(arena, folder, path);
            return ls_arena_format(arena, "%s%s%s", folder, strcmp(folder, "/") ? "/" : "", path);
        }
        folder = append(arena, folder, path, n);
        path += n + (path[n] == '/');
    }
    return folder;
}
