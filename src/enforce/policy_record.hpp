// SPDX-License-Identifier: Apache-2.0
// What people call the things of an image: names of domains and rules, who applied it and when. The kernel has numbers;
// this is kept beside, a file a generation. Losing it costs names, nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "policy/compile.hpp"

namespace bpfwarden::enforce {

inline constexpr const char* policy_records = "/var/lib/bpfwarden/policy";

struct PolicyRecord {
    struct Rule {
        std::string name, policy, at;  // at: "nginx.toml:12:1"
        std::string effect;
    };
    std::uint32_t generation = 0;
    std::string digest;
    std::uint64_t applied_ns = 0;  // CLOCK_REALTIME
    std::uint32_t uid = 0;         // of who applied it: the login's where there is one (loginuid)
    std::vector<std::string> files, domains;
    std::vector<Rule> rules;  // number 1 is the first

    // "domain 3", "rule 7" where it is not known.
    std::string domain(std::uint32_t number) const;
    std::string rule(std::uint32_t number) const;  // 0: "default"
};

PolicyRecord record_of(const policy::Compiled& compiled, std::vector<std::string> files);
// Written whole or not at all.
Result<> write_record(const PolicyRecord& record, const std::string& directory = policy_records);
// Removes what is of generations other than these.
void keep_records(std::uint32_t generation, std::uint32_t before, const std::string& directory = policy_records);
void remove_record(std::uint32_t generation, const std::string& directory = policy_records);
// Generations are counted anew after a policy was removed.
void remove_records(const std::string& directory = policy_records);
// Domains by number, that processes may be in: those of the generation that was put in force last, as each has all that
// were before it. Numbers are only ever added. An error where its names are lost: a new one could mean others by its
// numbers.
Result<std::vector<std::string>> numbered_domains(std::uint32_t newest, const std::string& directory = policy_records);
// Of the greatest generation there is one of: for who cannot ask the kernel which is in force.
PolicyRecord newest_record(const std::string& directory = policy_records);
// An empty one with the generation where there is none.
PolicyRecord read_record(std::uint32_t generation, const std::string& directory = policy_records);

}  // namespace bpfwarden::enforce
