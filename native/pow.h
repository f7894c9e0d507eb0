/* The search for a nonce. A header is 92 bytes: 84 that a job fixes, and a nonce of 8, big-endian; its hash is
   SHA-256(SHA-256(header)), which must not exceed the target as a big-endian number. */
#ifndef INDELIBLE_POW_H
#define INDELIBLE_POW_H

#include <stdint.h>

#include "sha256.h"

enum { PREFIX_BYTES = 84, TARGET_BYTES = 32 };

/* What stays the same for a whole job. */
struct pow_job {
    uint32_t midstate[8]; /* after the header's first 64 bytes */
    uint32_t tail[5];     /* the 20 bytes between those and the nonce */
    uint32_t target[8];   /* most significant word first */
};

/* What stays the same for all nonces with one high word. */
struct pow_row {
    uint32_t words[16];     /* the header's last block; word 6, the low word of the nonce, is 0 */
    uint32_t after_four[8]; /* a to h after rounds 0 to 3 of that block, which the nonce has no part in */
    uint32_t after_six[8];  /* and after rounds 4 and 5, turned as lanes.h keeps them */
};

void pow_row(struct pow_row *row, const struct pow_job *job, uint32_t high);

/* A kernel tries `count` nonces of one row from (high, low) on, none past the row's end. It returns how many came
   before the first whose hash has a top word of at most the target's, or `count` if none has. */
typedef uint64_t (*pow_kernel)(const struct pow_job *job, uint32_t high, uint32_t low, uint64_t count);

struct pow_kernel_entry {
    const char *name;
    pow_kernel kernel;
    int (*runs_here)(void);
};

/* Every kernel that was compiled in, fastest first; ends with a NULL name. The last is plain C, and runs anywhere. */
extern const struct pow_kernel_entry POW_KERNELS[];

void pow_job(struct pow_job *job, const unsigned char prefix[PREFIX_BYTES], const unsigned char target[TARGET_BYTES]);

/* Try `count` nonces from `first` on, in order, going on at 0 after the last; 1 and the first that meets the target,
   or 0. */
int pow_search(pow_kernel kernel, const struct pow_job *job, uint64_t first, uint64_t count, uint64_t *found);

#if defined(__x86_64__)
#define POW_X86
uint64_t pow_avx512(const struct pow_job *job, uint32_t high, uint32_t low, uint64_t count);
uint64_t pow_avx2(const struct pow_job *job, uint32_t high, uint32_t low, uint64_t count);
uint64_t pow_sha_ni(const struct pow_job *job, uint32_t high, uint32_t low, uint64_t count);
int pow_has_avx512(void);
int pow_has_avx2(void);
int pow_has_sha_ni(void);
#endif

#endif
