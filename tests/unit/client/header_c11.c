// SPDX-License-Identifier: Apache-2.0
// bpfwarden.h and filter.h by themselves in C11, with nothing else included or defined.
#include <bpfwarden/filter.h>

int header_c11(void);
int header_c11(void) {
    bpfw_session* session = bpfw_used();
    struct bpfw_usage usage = {"maps", 1, 0};
    struct bpfw_filter_options options = {.size = sizeof(options), .kernel = "none"};

    if (bpfw_filter_build("", 0, &options) != NULL) return 0;
    return session == NULL && usage.limit == 0 && bpfw_version()[0] != '\0';
}
