// XXH64 (for identities) and CRC32C (for data at rest).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/begin.h"

struct ls_hash; // a running XXH64, seed 0

struct ls_hash *ls_hash_open(void); // to be closed; the program ends where there is no memory
void ls_hash_add(struct ls_hash *hash, const void *data, size_t bytes);
uint64_t ls_hash_value(const struct ls_hash *hash); // so far; more may be added
void ls_hash_close(struct ls_hash *hash);
uint64_t ls_hash_of(const void *data, size_t bytes); // all at once

// CRC32C (Castagnoli, RFC 3720 B.4) of `data`, going on from `crc`; start with 0.
uint32_t ls_crc32c(uint32_t crc, const void *data, size_t bytes);

#include "base/end.h"
