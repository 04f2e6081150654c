// What `lockstep pack` packs; each reads its own options.
#pragma once

#include "cli/cli.h"

ls_status ls_pack_idx_command(const struct ls_command *command, int argc, char **argv);
ls_status ls_pack_images_command(const struct ls_command *command, int argc, char **argv);
