/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes a database with a few receipts of every kind for verify_receipts.py and prints the public
 * key: sealed_receipts DATABASE
 */
#include "base/clock.h"
#include "deletion/undo.h"
#include "world.h"

int main(int argc, char **argv)
{
    struct world w;
    struct made m;
    struct digest d = world_digest("layer");
    char key[SIGNATURE_PUBLIC_TEXT + 1];
    int64_t id = 0;
    struct undo_request undo = { .receipt_id = 2,
                                 .force = true,
                                 .by = { .door = STR("ebb"),
                                         .actor = STR("\xc3\xa9\n\"x"),
                                         .peer = STR(""),
                                         .reason = STR("two\nlines") } };
    if (argc != 2 || !world_open(&w, argv[1]))
        return 2;
    made_image(&m, "image");
    made_add_blob(&m, &d, false);
    bool good = world_upload(&w, "group/app", "layer") == ST_OK &&
                world_push(&w, "group/app", &m, "v1") == ST_OK &&
                world_delete_tag(&w, "group/app", "v1") == ST_OK &&
                world_push(&w, "group/app", &m, "v1") == ST_OK &&
                world_delete_manifest(&w, "group/app", &m.digest) == ST_OK &&
                undo_receipt(w.d, &undo, w.now, &id, &w.err) == ST_OK;
    signature_public_text(deletion_public_key(w.d), key);
    if (good)
        (void)puts(key);
    else
        (void)fprintf(stderr, "%s\n", w.err.text);
    world_close(&w);
    return good ? 0 : 1;
}
