/* A kernel that tries many nonces at once, one in each lane of a vector. A template: include it once for each kind of
   vector, after defining

     KERNEL        name of the function that it becomes
     TARGET        attribute that lets this function use the vector's instructions (may be empty)
     LANES         lanes of 32 bits in a vector, at most 32
     ROTR, XOR3, CH, MAJ   as in FIPS 180-4, over vectors
     AT_MOST(x, y) bits of the lanes (lane 0 is bit 0) in which x <= y, unsigned

   It undefines them again. Both hashes are unrolled: all indices and constants are the compiler's to fold. */

#define VECTOR uint32_t __attribute__((vector_size(4 * LANES)))
#define SIGMA0(x) XOR3(ROTR(x, 2), ROTR(x, 13), ROTR(x, 22))
#define SIGMA1(x) XOR3(ROTR(x, 6), ROTR(x, 11), ROTR(x, 25))
#define SMALL0(x) XOR3(ROTR(x, 7), ROTR(x, 18), (x) >> 3)
#define SMALL1(x) XOR3(ROTR(x, 17), ROTR(x, 19), (x) >> 10)

/* Working variable `name` (0 is a, 7 is h) of round t: they turn by one place a round. */
#define V(t, name) v[((name) - (t)) & 7]
#define ROUND(t)                                                                                                      \
    do {                                                                                                              \
        VECTOR t1 = V(t, 7) + SIGMA1(V(t, 4)) + CH(V(t, 4), V(t, 5), V(t, 6)) + (w[(t) & 15] + SHA256_K[t]);          \
        V(t, 3) += t1;                                                                                                \
        V(t, 7) = t1 + SIGMA0(V(t, 0)) + MAJ(V(t, 0), V(t, 1), V(t, 2));                                              \
    } while (0)
#define EXPAND(t)                                                                                                     \
    (w[(t) & 15] += SMALL1(w[((t) - 2) & 15]) + w[((t) - 7) & 15] + SMALL0(w[((t) - 15) & 15]))
#define STEP(t)                                                                                                       \
    do {                                                                                                              \
        EXPAND(t);                                                                                                    \
        ROUND(t);                                                                                                     \
    } while (0)
#define FOUR(DO, t) DO(t); DO((t) + 1); DO((t) + 2); DO((t) + 3)
#define SIXTEEN(DO, t) FOUR(DO, t); FOUR(DO, (t) + 4); FOUR(DO, (t) + 8); FOUR(DO, (t) + 12)

TARGET uint64_t KERNEL(const struct pow_job *job, uint32_t high, uint32_t low, uint64_t count)
{
    struct pow_row row;
    VECTOR order;

    pow_row(&row, job, high);
    for (int lane = 0; lane < LANES; lane++)
        order[lane] = (uint32_t)lane;
    for (uint64_t done = 0; done < count; done += LANES) {
        VECTOR v[8], w[16], top;
        uint32_t hits;

        /* The header's last 28 bytes, from the first round on that the low word of the nonce takes part in. */
        for (int i = 0; i < 8; i++)
            v[i] = (VECTOR){0} + row.after_six[i];
        for (int i = 0; i < 16; i++)
            w[i] = (VECTOR){0} + row.words[i];
        w[6] = order + (low + (uint32_t)done);
        /* after_six holds a to h in their places of round 6, which ROUND(6) wants turned by six. */
        ROUND(6); ROUND(7); FOUR(ROUND, 8); FOUR(ROUND, 12);
        SIXTEEN(STEP, 16); SIXTEEN(STEP, 32); SIXTEEN(STEP, 48);
        /* The hash of the hash. */
        for (int i = 0; i < 8; i++)
            w[i] = v[i] + job->midstate[i];
        w[8] = (VECTOR){0} + 0x80000000u;
        for (int i = 9; i < 15; i++)
            w[i] = (VECTOR){0};
        w[15] = (VECTOR){0} + 256u;
        for (int i = 0; i < 8; i++)
            v[i] = (VECTOR){0} + SHA256_START[i];
        SIXTEEN(ROUND, 0);
        SIXTEEN(STEP, 16); SIXTEEN(STEP, 32); SIXTEEN(STEP, 48);
        top = v[0] + SHA256_START[0];
        hits = AT_MOST(top, job->target[0]);
        if (__builtin_expect(hits != 0, 0)) {
            uint64_t found = done + (uint64_t)__builtin_ctz(hits);

            return found < count ? found : count;
        }
    }
    return count;
}

#undef KERNEL
#undef TARGET
#undef LANES
#undef ROTR
#undef XOR3
#undef CH
#undef MAJ
#undef AT_MOST
#undef VECTOR
#undef SIGMA0
#undef SIGMA1
#undef SMALL0
#undef SMALL1
#undef V
#undef ROUND
#undef EXPAND
#undef STEP
#undef FOUR
#undef SIXTEEN
