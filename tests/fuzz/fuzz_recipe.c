// Recipes: any text; what is read prints as a recipe that reads back as the same.
#include "fuzz.h"

#include "base/text.h"
#include "train/recipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    char *text = malloc(n + 1);
    memcpy(text, data, n);
    text[n] = 0;
    struct ls_recipe recipe, again;
    ls_status status = ls_recipe_parse(text, "fuzz", ".", NULL, 0, &recipe);
    fuzz_expect(status);
    if (status == LS_OK) {
        struct ls_text first = {0}, second = {0};
        ls_recipe_print(&recipe, &first);
        if (ls_recipe_parse(first.data, "printed", ".", NULL, 0, &again) != LS_OK) {
            fprintf(stderr, "%s\n%s\n", ls_error_last()->text, first.data);
            abort();
        }
        ls_recipe_print(&again, &second);
        if (strcmp(first.data, second.data) != 0) abort();
        ls_text_free(&first);
        ls_text_free(&second);
        ls_recipe_free(&again);
    }
    ls_recipe_free(&recipe);
    free(text);
    return 0;
}
