// SPDX-License-Identifier: Apache-2.0
#include "enforce/policy_record.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/fd.hpp"
#include "kernel/file.hpp"

namespace bpfwarden::enforce {

namespace fs = std::filesystem;
using nlohmann::json;

std::string PolicyRecord::domain(std::uint32_t number) const {
    return number < domains.size() ? domains[number] : fmt::format("domain {}", number);
}

std::string PolicyRecord::rule(std::uint32_t number) const {
    if (number == 0) return "default";
    return number <= rules.size() ? rules[number - 1].name : fmt::format("rule {}", number);
}

static std::uint32_t login_uid() {
    const auto text = kernel::read_file("/proc/self/loginuid");
    std::uint32_t uid = 0;
    if (!text || std::from_chars(text->data(), text->data() + text->size(), uid).ec != std::errc{} || uid == ~0U)
        return ::getuid();
    return uid;
}

PolicyRecord record_of(const policy::Compiled& compiled, std::vector<std::string> files) {
    PolicyRecord record;
    record.digest = compiled.digest;
    record.applied_ns = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
            .count());
    record.uid = login_uid();
    record.files = std::move(files);
    record.domains = compiled.domains;
    for (const auto& rule : compiled.rules)
        record.rules.push_back({rule.name, rule.policy, rule.at.text(), std::string(policy::name_of(rule.effect))});
    return record;
}

static std::string path_of(std::uint32_t generation, const std::string& directory) {
    return fmt::format("{}/{}.json", directory, generation);
}

Result<> write_record(const PolicyRecord& record, const std::string& directory) {
    std::error_code error;
    fs::create_directories(directory, error);
    if (error) return fail(Error::from_errno(error.value(), fmt::format("cannot make {}", directory)));
    json rules = json::array();
    for (const auto& rule : record.rules)
        rules.push_back({{"name", rule.name}, {"policy", rule.policy}, {"at", rule.at}, {"effect", rule.effect}});
    const json text = {{"schema", "bpfwarden.policy-record/1"},
                       {"generation", record.generation},
                       {"digest", record.digest},
                       {"applied_ns", record.applied_ns},
                       {"uid", record.uid},
                       {"files", record.files},
                       {"domains", record.domains},
                       {"rules", std::move(rules)}};
    // What is no UTF-8 in a name is shown as such; it decides nothing here.
    const auto bytes = text.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
    const auto path = path_of(record.generation, directory);
    const auto fresh = path + ".new";
    UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return fail_errno(fmt::format("cannot write {}", fresh));
    for (std::size_t done = 0; done < bytes.size();) {
        const auto wrote = ::write(fd.get(), bytes.data() + done, bytes.size() - done);
        if (wrote < 0) return fail_errno(fmt::format("cannot write {}", fresh));
        done += static_cast<std::size_t>(wrote);
    }
    if (::fsync(fd.get()) || ::rename(fresh.c_str(), path.c_str()))
        return fail_errno(fmt::format("cannot write {}", path));
    return {};
}

void keep_records(std::uint32_t generation, std::uint32_t before, const std::string& directory) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(directory, ignored))
        if (entry.path() != path_of(generation, directory) && entry.path() != path_of(before, directory))
            fs::remove(entry.path(), ignored);
}

void remove_record(std::uint32_t generation, const std::string& directory) {
    std::error_code ignored;
    fs::remove(path_of(generation, directory), ignored);
}

void remove_records(const std::string& directory) { keep_records(0, 0, directory); }

PolicyRecord read_record(std::uint32_t generation, const std::string& directory) {
    PolicyRecord record;
    record.generation = generation;
    const auto text = kernel::read_file(path_of(generation, directory), std::size_t{64} << 20);
    if (!text) return record;
    const auto root = json::parse(*text, nullptr, false);
    if (!root.is_object() || root.value("generation", 0U) != generation) return record;
    try {
        record.digest = root.value("digest", "");
        record.applied_ns = root.value("applied_ns", std::uint64_t{});
        record.uid = root.value("uid", 0U);
        record.files = root.value("files", std::vector<std::string>{});
        record.domains = root.value("domains", std::vector<std::string>{});
        for (const auto& rule : root.value("rules", json::array()))
            record.rules.push_back(
                {rule.value("name", ""), rule.value("policy", ""), rule.value("at", ""), rule.value("effect", "")});
    } catch (const json::exception&) {  // somebody edited it: then there are no names
        record = {};
        record.generation = generation;
    }
    return record;
}

PolicyRecord newest_record(const std::string& directory) {
    std::uint32_t newest = 0;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(directory, ignored)) {
        const auto name = entry.path().stem().string();
        std::uint32_t number = 0;
        std::from_chars(name.data(), name.data() + name.size(), number);
        if (entry.path() == path_of(number, directory)) newest = std::max(newest, number);
    }
    return read_record(newest, directory);
}

Result<std::vector<std::string>> numbered_domains(std::uint32_t newest, const std::string& directory) {
    if (!newest) return std::vector<std::string>{};
    auto record = read_record(newest, directory);
    if (record.domains.empty())
        return fail(Error(Code::failed, "it is not known which domains processes are in")
                        .because(fmt::format("the record of generation {} in {} is lost", newest, directory))
                        .advise("bpfwarden policy remove, then apply: processes get domains at their next exec"));
    return std::move(record.domains);
}

}  // namespace bpfwarden::enforce
