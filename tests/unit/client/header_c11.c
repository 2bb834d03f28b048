// SPDX-License-Identifier: Apache-2.0
// bpfwarden.h by itself in C11, with nothing else included or defined.
#include <bpfwarden/bpfwarden.h>

int header_c11(void);
int header_c11(void) {
    bpfw_session* session = bpfw_used();
    struct bpfw_usage usage = {"maps", 1, 0};

    return session == NULL && usage.limit == 0 && bpfw_version()[0] != '\0';
}
