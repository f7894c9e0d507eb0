/* Jobs, the table of kernels, the walk over nonces, and the kernel that any machine can run. */
#include "pow.h"

static uint32_t big_endian(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

void pow_job(struct pow_job *job, const unsigned char prefix[PREFIX_BYTES], const unsigned char target[TARGET_BYTES])
{
    uint32_t block[16];

    for (int i = 0; i < 16; i++)
        block[i] = big_endian(prefix + 4 * i);
    memcpy(job->midstate, SHA256_START, sizeof job->midstate);
    sha256_compress(job->midstate, block);
    for (int i = 0; i < 5; i++)
        job->tail[i] = big_endian(prefix + 64 + 4 * i);
    for (int i = 0; i < 8; i++)
        job->target[i] = big_endian(target + 4 * i);
}

/* The header's last block: 20 bytes, the nonce, the padding, and the length of 92 bytes in bits. */
static void last_block(uint32_t words[16], const struct pow_job *job, uint32_t high, uint32_t low)
{
    memset(words, 0, 64);
    memcpy(words, job->tail, sizeof job->tail);
    words[5] = high;
    words[6] = low;
    words[7] = 0x80000000;
    words[15] = 8 * 92;
}

void pow_row(struct pow_row *row, const struct pow_job *job, uint32_t high)
{
    uint32_t v[8];

    last_block(row->words, job, high, 0);
    memcpy(row->after_four, job->midstate, sizeof row->after_four);
    sha256_rounds(row->after_four, row->words, 4);
    memcpy(v, job->midstate, sizeof v);
    sha256_rounds(v, row->words, 6);
    for (int i = 0; i < 8; i++)
        row->after_six[(i - 6) & 7] = v[i];
}

/* Whether the hash of the header with this nonce is at most the target; the last word on every nonce. */
static int meets(const struct pow_job *job, uint64_t nonce)
{
    uint32_t block[16], once[8], twice[8];

    last_block(block, job, (uint32_t)(nonce >> 32), (uint32_t)nonce);
    memcpy(once, job->midstate, sizeof once);
    sha256_compress(once, block);
    memset(block, 0, sizeof block);
    memcpy(block, once, sizeof once);
    block[8] = 0x80000000;
    block[15] = 8 * 32;
    memcpy(twice, SHA256_START, sizeof twice);
    sha256_compress(twice, block);
    for (int i = 0; i < 8; i++)
        if (twice[i] != job->target[i])
            return twice[i] < job->target[i];
    return 1;
}

int pow_search(pow_kernel kernel, const struct pow_job *job, uint64_t first, uint64_t count, uint64_t *found)
{
    while (count > 0) {
        uint64_t left_in_row = 0x100000000u - (uint32_t)first;
        uint64_t tried = count < left_in_row ? count : left_in_row;
        uint64_t before = kernel(job, (uint32_t)(first >> 32), (uint32_t)first, tried);

        if (before < tried) {
            /* Its top word is low enough; the others decide only when that is the target's. */
            if (meets(job, first + before)) {
                *found = first + before;
                return 1;
            }
            tried = before + 1;
        }
        first += tried;
        count -= tried;
    }
    return 0;
}

/* Four lanes in the compiler's own vectors: SSE2 on every x86-64, NEON on every 64-bit ARM, plain words elsewhere. */
static uint32_t at_most_4(const uint32_t *x, uint32_t y)
{
    uint32_t bits = 0;

    for (int lane = 0; lane < 4; lane++)
        bits |= (uint32_t)(x[lane] <= y) << lane;
    return bits;
}

#define KERNEL pow_portable
#define TARGET static
#define LANES 4
#define ROTR SHA256_ROTR
#define XOR3 SHA256_XOR3
#define CH SHA256_CH
#define MAJ SHA256_MAJ
#define AT_MOST(x, y) at_most_4((const uint32_t *)&(x), y)
#include "lanes.h"

static int anywhere(void)
{
    return 1;
}

const struct pow_kernel_entry POW_KERNELS[] = {
#ifdef POW_X86
    {"avx-512 x16", pow_avx512, pow_has_avx512},
    {"sha-ni x2", pow_sha_ni, pow_has_sha_ni},
    {"avx2 x8", pow_avx2, pow_has_avx2},
#endif
    {"portable c", pow_portable, anywhere},
    {NULL, NULL, NULL},
};
