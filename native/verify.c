/* A loop over libsodium's own verifier, and nothing else: what a valid signature is, libsodium decides, bit for bit,
   as when Python calls it. */
#include "verify.h"

#include <string.h>

void verify_items(sign_open_function sign_open, const struct signature_item *items, size_t count,
                  unsigned char *scratch, size_t scratch_half, unsigned char *valid)
{
    unsigned char *signed_message = scratch, *message = scratch + scratch_half;

    for (size_t i = 0; i < count; i++) {
        const struct signature_item *item = &items[i];
        unsigned long long message_length = 0;

        memcpy(signed_message, item->signature, SIGNATURE_BYTES);
        memcpy(signed_message + SIGNATURE_BYTES, item->message, item->message_length);
        valid[i] = sign_open(message, &message_length, signed_message, SIGNATURE_BYTES + item->message_length,
                             item->public_key) == 0;
    }
}
