/* SHA-256 (FIPS 180-4), one block at a time in plain C: for what is hashed once, and for the last word on a nonce. */
#ifndef INDELIBLE_SHA256_H
#define INDELIBLE_SHA256_H

#include <stdint.h>
#include <string.h>

/* FIPS 180-4, 5.3.3. */
static const uint32_t SHA256_START[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

/* FIPS 180-4, 4.2.2. */
static const uint32_t SHA256_K[64] __attribute__((aligned(64))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* FIPS 180-4, 4.1.2, in operators that also work on vectors of lanes. */
#define SHA256_ROTR(x, n) (((x) >> (n)) | ((x) << (32 - (n))))
#define SHA256_XOR3(x, y, z) ((x) ^ (y) ^ (z))
#define SHA256_CH(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define SHA256_MAJ(x, y, z) (((x) & (y)) | ((z) & ((x) | (y))))

static inline uint32_t sha256_sigma(uint32_t x, int first, int second, int third)
{
    return SHA256_XOR3(SHA256_ROTR(x, first), SHA256_ROTR(x, second), SHA256_ROTR(x, third));
}

static inline uint32_t sha256_small_sigma(uint32_t x, int first, int second, int shift)
{
    return SHA256_XOR3(SHA256_ROTR(x, first), SHA256_ROTR(x, second), x >> shift);
}

/* The 64 words that 16 words of message grow into (6.2.2, step 1). */
static inline void sha256_schedule(uint32_t words[64], const uint32_t block[16])
{
    memcpy(words, block, 64);
    for (int t = 16; t < 64; t++)
        words[t] = sha256_small_sigma(words[t - 2], 17, 19, 10) + words[t - 7] +
                   sha256_small_sigma(words[t - 15], 7, 18, 3) + words[t - 16];
}

/* The first `rounds` rounds over the working variables a to h (6.2.2, step 3). */
static inline void sha256_rounds(uint32_t v[8], const uint32_t *words, int rounds)
{
    for (int t = 0; t < rounds; t++) {
        uint32_t t1 = v[7] + sha256_sigma(v[4], 6, 11, 25) + SHA256_CH(v[4], v[5], v[6]) + SHA256_K[t] + words[t];
        uint32_t t2 = sha256_sigma(v[0], 2, 13, 22) + SHA256_MAJ(v[0], v[1], v[2]);

        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
}

/* Take one block of 16 words into the state. */
static inline void sha256_compress(uint32_t state[8], const uint32_t block[16])
{
    uint32_t words[64], v[8];

    sha256_schedule(words, block);
    memcpy(v, state, sizeof v);
    sha256_rounds(v, words, 64);
    for (int i = 0; i < 8; i++)
        state[i] += v[i];
}

#endif
