// SPDX-License-Identifier: Apache-2.0
#include "policy/schema.hpp"

namespace bpfwarden::policy {

static constexpr Key keys[] = {
    {"", "format", "the number 1"},
    {"", "name", "name"},
    {"", "description", "text"},
    {"", "mode", "\"enforce\" or \"audit\""},
    {"", "on_loss", "\"count\" or \"deny\""},
    {"", "domain", "tables"},
    {"", "rule", "tables"},
    {"domain", "name", "name"},
    {"domain", "enter", "list of tables"},
    {"domain", "default", "\"allow\" or \"deny\""},
    {"domain", "mode", "\"enforce\" or \"audit\""},
    {"domain", "secure_exec", "true or false"},
    {"domain", "root", "\"mounts\" or \"own\""},
    {"enter", "exe", "path glob"},
    {"enter", "identity", "table"},
    {"enter", "fsverity", "\"ALGORITHM:DIGITS\""},
    {"enter", "ima", "\"ALGORITHM:DIGITS\""},
    {"enter", "label", "text"},
    {"enter", "user_label", "text"},
    {"enter", "cgroup", "path glob"},
    {"enter", "uid", "number, name or range"},
    {"enter", "gid", "number, name or range"},
    {"enter", "userns", "\"init\" or \"other\""},
    {"enter", "from", "list of domains"},
    {"rule", "name", "text"},
    {"rule", "domains", "list of domains"},
    {"rule", "allow", "list of operations"},
    {"rule", "deny", "list of operations"},
    {"rule", "audit", "list of operations"},
    {"rule", "mode", "\"enforce\" or \"audit\""},
    {"rule", "paths", "list of path globs"},
    {"rule", "except", "list of path globs"},
    {"rule", "file_systems", "list of types"},
    {"rule", "identities", "list of tables"},
    {"rule", "labels", "list of texts"},
    {"rule", "user_labels", "list of texts"},
    {"rule", "net", "list of tables"},
    {"rule", "peers", "list of domains"},
    {"rule", "capabilities", "list of names"},
    {"net", "family", "name"},
    {"net", "address", "address or network"},
    {"net", "port", "number, range or list of them"},
    {"identity", "device", "\"MAJ:MIN\""},
    {"identity", "inode", "number"},
    {"identity", "generation", "number"},
};

std::span<const Key> all_keys() { return keys; }

std::vector<std::string_view> keys_in(std::string_view table) {
    std::vector<std::string_view> names;
    for (const auto& key : keys)
        if (key.table == table) names.push_back(key.name);
    return names;
}

std::string_view instead_of(std::string_view table, std::string_view key) {
    struct Advice {
        std::string_view table, key, text;
    };
    static constexpr Advice advices[] = {
        {"", "version", "the version of the language is written format = 1"},
        {"", "domains", "each domain is a table of its own, [[domain]]"},
        {"", "rules", "each rule is a table of its own, [[rule]]"},
        {"", "include", "policies are given together instead: bpfwarden policy check A.toml B.toml"},
        {"", "allow", "operations are allowed in a [[rule]]"},
        {"", "deny", "operations are denied in a [[rule]]"},
        {"domain", "enforce", "it is written mode = \"enforce\""},
        {"enter", "pid", "process ids are reused, so nobody can be known by one: use exe, cgroup or uid"},
        {"enter", "unit", "a unit is its control group: cgroup = \"/system.slice/NAME.service\""},
        {"enter", "container", "a container is its control group: use cgroup with a glob"},
        {"enter", "sha256", "IMA's digest of the whole file is written ima = \"sha256:…\", that of fs-verity fsverity"},
        {"enter", "digest", "IMA's digest of the whole file is written ima = \"sha256:…\", that of fs-verity fsverity"},
        {"enter", "verity", "it is written fsverity"},
        {"enter", "xattr",
         "labels are in two attributes: label (security.bpf.bpfwarden) and user_label (user.bpfwarden)"},
        {"enter", "path", "the file that is executed is exe"},
        {"rule", "label", "it is a list: labels = [\"NAME\"]"},
        {"rule", "user_label", "it is a list: user_labels = [\"NAME\"]"},
        {"rule", "xattr",
         "labels are in two attributes: labels (security.bpf.bpfwarden) and user_labels (user.bpfwarden)"},
        {"rule", "path", "it is a list: paths = [\"/etc/**\"]"},
        {"rule", "domain", "it is a list: domains = [\"NAME\"]"},
        {"rule", "priority", "rules have no order: deny wins over allow, allow over the default"},
        {"rule", "exec", "it is an operation: allow = [\"exec\"]"},
        {"net", "ports", "it is called port, and takes a list too"},
        {"net", "protocol", "no hook tells TCP from UDP by an address: use family, address and port"},
        {"net", "host", "names have no meaning in the kernel: write the address"},
    };
    for (const auto& advice : advices)
        if (advice.table == table && advice.key == key) return advice.text;
    return {};
}

}  // namespace bpfwarden::policy
