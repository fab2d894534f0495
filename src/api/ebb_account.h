/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of /accounts, /tokens, /members, /visibility, /self and /audit share.
 */
#ifndef EBB_EBB_ACCOUNT_H
#define EBB_EBB_ACCOUNT_H

#include "api/ebb_int.h"

/* In mode open: 409, and false. */
bool ebb_has_accounts(struct http_request *rq);

const char *ebb_account_kind(enum account_kind kind);
void ebb_answer_account(struct http_request *rq, int http, const struct account *a);
extern const struct answer_status ebb_account_statuses[];
/* Who asks is that account, which they named or, with an unset name, did not. */
bool ebb_is_self(const struct http_request *rq, str account);

void ebb_add_scopes(struct json_out *o, unsigned scopes); /* "scopes" */
/* Its members. */
void ebb_add_token(struct http_request *rq, struct json_out *o, const struct access_token *t);
/* For the audit log. */
str ebb_token_text(struct http_request *rq, const struct access_token *t);

#endif
