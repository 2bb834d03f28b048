// SPDX-License-Identifier: Apache-2.0
#include "cli/host_json.hpp"

#include <sys/utsname.h>

#include <cstdio>
#include <nlohmann/json.hpp>

namespace bpfwarden::cli {

void print_host_json(const std::vector<kernel::HostFact>& facts) {
    using nlohmann::ordered_json;
    struct utsname name{};
    ::uname(&name);
    ordered_json list = ordered_json::array();
    for (const auto& fact : facts)
        list.push_back(ordered_json{{"id", fact.id},
                                    {"group", word(fact.group)},
                                    {"title", fact.title},
                                    {"state", word(fact.state)},
                                    {"concern", fact.concern},
                                    {"how", fact.how},
                                    {"detail", fact.detail},
                                    {"needed_by", fact.needed_by},
                                    {"remedy", fact.remedy}});
    const ordered_json document{{"schema", "bpfwarden.host.check/1"},
                                {"kernel", {{"release", name.release}, {"machine", name.machine}}},
                                {"facts", std::move(list)}};
    // Mount paths can hold any byte; what is not UTF-8 is replaced.
    std::puts(document.dump(2, ' ', false, ordered_json::error_handler_t::replace).c_str());
}

}  // namespace bpfwarden::cli
