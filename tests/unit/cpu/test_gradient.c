// Every gradient of the plain kernels against central differences in f64.
#include "conform/difference.h"
#include "unit/check.h"

static void test_differences(void **state) {
    (void)state;
    bool seen[LS_OPS] = {0};
    for (int i = 0; i < ls_case_count; i++) {
        int64_t checked;
        ls_status status = ls_difference_check(&ls_cases[i], LS_CPU_PLAIN, &checked);
        if (status != LS_OK) fail_msg("%s: %s", ls_cases[i].name, ls_error_last()->text);
        const struct ls_op *op = ls_op_table[ls_cases[i].op];
        if (op->gradient && checked == 0) fail_msg("%s: no gradient was compared", ls_cases[i].name);
        seen[op->id] = true;
    }
    for (int op = 0; op < LS_OPS; op++)
        if (ls_op_table[op]->gradient && op != LS_OP_CAST && op != LS_OP_UNFLATTEN && !seen[op])
            fail_msg("no case of %s", ls_op_table[op]->name);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_differences)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
