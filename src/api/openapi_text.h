/* SPDX-License-Identifier: Apache-2.0
 *
 * openapi.json, made into C by embed.py when the program is built.
 */
#ifndef EBB_OPENAPI_TEXT_H
#define EBB_OPENAPI_TEXT_H

#include "base/base.h"

extern const char openapi_text[];
extern const size_t openapi_text_len;

#endif
