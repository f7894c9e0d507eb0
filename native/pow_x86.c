/* Kernels for x86: each function alone is compiled for the instructions that it is named for, and runs only where
   the processor and the system have them. */
#include "pow.h"

#ifdef POW_X86

#include <cpuid.h>
#include <immintrin.h>

/* Which instructions there are: bits of CPUID (Intel's manual, volume 2A), asked for directly, as not every compiler
   knows a name for each. */
enum { LEAF_1_ECX_SSSE3 = 1 << 9, LEAF_1_ECX_SSE41 = 1 << 19, LEAF_1_ECX_OSXSAVE = 1 << 27 };
enum { LEAF_7_EBX_AVX2 = 1 << 5, LEAF_7_EBX_AVX512F = 1 << 16, LEAF_7_EBX_SHA = 1 << 29 };
/* Registers that the system saves for each thread (XCR0): without that their instructions are of no use. */
enum { SAVED_YMM = 0x06, SAVED_ZMM = 0xe6 };

static int has(unsigned int leaf_1_ecx, unsigned int leaf_7_ebx, unsigned int saved)
{
    unsigned int eax, ebx, ecx, edx, xcr0 = 0;

    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || (ecx & leaf_1_ecx) != leaf_1_ecx)
        return 0;
    if (ecx & LEAF_1_ECX_OSXSAVE)
        __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(edx) : "c"(0));
    return (xcr0 & saved) == saved && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) &&
           (ebx & leaf_7_ebx) == leaf_7_ebx;
}

int pow_has_avx512(void)
{
    return has(0, LEAF_7_EBX_AVX512F, SAVED_ZMM);
}

int pow_has_avx2(void)
{
    return has(0, LEAF_7_EBX_AVX2, SAVED_YMM);
}

int pow_has_sha_ni(void)
{
    return has(LEAF_1_ECX_SSSE3 | LEAF_1_ECX_SSE41, LEAF_7_EBX_SHA, 0);
}

/* --- 16 lanes of AVX-512: rotations and any function of three words are single instructions --- */

#define TERNARY(x, y, z, table) \
    ((VECTOR)_mm512_ternarylogic_epi32((__m512i)(x), (__m512i)(y), (__m512i)(z), table))
#define KERNEL pow_avx512
#define TARGET __attribute__((target("avx512f")))
#define LANES 16
#define ROTR(x, n) ((VECTOR)_mm512_ror_epi32((__m512i)(x), n))
#define XOR3(x, y, z) TERNARY(x, y, z, 0x96)
#define CH(x, y, z) TERNARY(x, y, z, 0xca)
#define MAJ(x, y, z) TERNARY(x, y, z, 0xe8)
#define AT_MOST(x, y) _mm512_cmple_epu32_mask((__m512i)(x), _mm512_set1_epi32((int)(y)))
#include "lanes.h"
#undef TERNARY

/* --- 8 lanes of AVX2 --- */

#define KERNEL pow_avx2
#define TARGET __attribute__((target("avx2")))
#define LANES 8
#define ROTR SHA256_ROTR
#define XOR3 SHA256_XOR3
#define CH SHA256_CH
#define MAJ SHA256_MAJ
/* There is no unsigned comparison: x <= y where the smaller of them is x. */
#define AT_MOST(x, y)                                                                                                 \
    ((uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(                                                                \
        _mm256_cmpeq_epi32(_mm256_min_epu32((__m256i)(x), _mm256_set1_epi32((int)(y))), (__m256i)(x)))))
#include "lanes.h"

/* --- SHA extensions: two nonces side by side, since each instruction waits for the one before it --- */

enum { STREAMS = 2 };

#define EACH for (int s = 0; s < STREAMS; s++)
#define K4(group) _mm_load_si128((const __m128i *)&SHA256_K[4 * (group)])

/* Four rounds with words x[group % 4] of each stream. */
#define ROUNDS(group)                                                                                                 \
    do {                                                                                                              \
        __m128i wk[STREAMS];                                                                                          \
        EACH wk[s] = _mm_add_epi32(x[s][(group) & 3], K4(group));                                                     \
        EACH cdgh[s] = _mm_sha256rnds2_epu32(cdgh[s], abef[s], wk[s]);                                                \
        EACH wk[s] = _mm_shuffle_epi32(wk[s], 0x0e);                                                                  \
        EACH abef[s] = _mm_sha256rnds2_epu32(abef[s], cdgh[s], wk[s]);                                                \
    } while (0)

/* The four words of a group from those of the four groups before it. */
#define EXPAND(group)                                                                                                 \
    EACH x[s][(group) & 3] = _mm_sha256msg2_epu32(                                                                    \
        _mm_add_epi32(_mm_sha256msg1_epu32(x[s][(group) & 3], x[s][((group) + 1) & 3]),                               \
                      _mm_alignr_epi8(x[s][((group) + 3) & 3], x[s][((group) + 2) & 3], 4)),                          \
        x[s][((group) + 3) & 3])

#define STEP(group)                                                                                                   \
    do {                                                                                                              \
        EXPAND(group);                                                                                                \
        ROUNDS(group);                                                                                                \
    } while (0)
#define FOUR(DO, group) DO(group); DO((group) + 1); DO((group) + 2); DO((group) + 3)

__attribute__((target("sha,sse4.1"))) uint64_t pow_sha_ni(const struct pow_job *job, uint32_t high, uint32_t low,
                                                          uint64_t count)
{
    const uint32_t *m = job->midstate, *h = SHA256_START;
    const __m128i mid_abef = _mm_set_epi32((int)m[0], (int)m[1], (int)m[4], (int)m[5]);
    const __m128i mid_cdgh = _mm_set_epi32((int)m[2], (int)m[3], (int)m[6], (int)m[7]);
    const __m128i start_abef = _mm_set_epi32((int)h[0], (int)h[1], (int)h[4], (int)h[5]);
    const __m128i start_cdgh = _mm_set_epi32((int)h[2], (int)h[3], (int)h[6], (int)h[7]);
    const uint32_t target = job->target[0];
    __m128i four_abef, four_cdgh, words[4];
    struct pow_row row;

    pow_row(&row, job, high);
    four_abef = _mm_set_epi32((int)row.after_four[0], (int)row.after_four[1], (int)row.after_four[4],
                              (int)row.after_four[5]);
    four_cdgh = _mm_set_epi32((int)row.after_four[2], (int)row.after_four[3], (int)row.after_four[6],
                              (int)row.after_four[7]);
    for (int i = 0; i < 4; i++)
        words[i] = _mm_loadu_si128((const __m128i *)&row.words[4 * i]);
    for (uint64_t done = 0; done < count; done += STREAMS) {
        __m128i x[STREAMS][4], abef[STREAMS], cdgh[STREAMS];

        /* The header's last 28 bytes, after the four rounds that the nonce has no part in. */
        EACH {
            for (int i = 0; i < 4; i++)
                x[s][i] = words[i];
            x[s][1] = _mm_insert_epi32(words[1], (int)(low + (uint32_t)done + (uint32_t)s), 2);
            abef[s] = four_abef;
            cdgh[s] = four_cdgh;
        }
        ROUNDS(1); ROUNDS(2); ROUNDS(3);
        FOUR(STEP, 4); FOUR(STEP, 8); FOUR(STEP, 12);
        /* The hash of the hash: a to h become the first eight words of a message. */
        EACH {
            __m128i abfe = _mm_shuffle_epi32(_mm_add_epi32(abef[s], mid_abef), 0x1b);
            __m128i cdhg = _mm_shuffle_epi32(_mm_add_epi32(cdgh[s], mid_cdgh), 0x1b);

            x[s][0] = _mm_unpacklo_epi64(abfe, cdhg);
            x[s][1] = _mm_unpackhi_epi64(abfe, cdhg);
            x[s][2] = _mm_set_epi32(0, 0, 0, (int)0x80000000);
            x[s][3] = _mm_set_epi32(8 * 32, 0, 0, 0);
            abef[s] = start_abef;
            cdgh[s] = start_cdgh;
        }
        FOUR(ROUNDS, 0);
        FOUR(STEP, 4); FOUR(STEP, 8); FOUR(STEP, 12);
        EACH if (__builtin_expect((uint32_t)_mm_extract_epi32(abef[s], 3) + SHA256_START[0] <= target, 0)) {
            uint64_t found = done + (uint64_t)s;

            return found < count ? found : count;
        }
    }
    return count;
}

#endif
