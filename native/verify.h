/* Signatures by the batch. */
#ifndef INDELIBLE_VERIFY_H
#define INDELIBLE_VERIFY_H

#include <stddef.h>
#include <stdint.h>

/* libsodium's crypto_sign_open. */
typedef int (*sign_open_function)(unsigned char *message, unsigned long long *message_length,
                                  const unsigned char *signed_message, unsigned long long signed_length,
                                  const unsigned char *public_key);

enum { PUBLIC_KEY_BYTES = 32, SIGNATURE_BYTES = 64 };

struct signature_item {
    const unsigned char *public_key; /* PUBLIC_KEY_BYTES */
    const unsigned char *message;
    size_t message_length;
    const unsigned char *signature; /* SIGNATURE_BYTES */
};

/* Ask sign_open about each item by itself; valid[i] becomes 1 or 0. `scratch` has room for twice the longest
   message and a signature. */
void verify_items(sign_open_function sign_open, const struct signature_item *items, size_t count,
                  unsigned char *scratch, size_t scratch_half, unsigned char *valid);

#endif
