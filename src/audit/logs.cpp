// SPDX-License-Identifier: Apache-2.0
#include "audit/logs.hpp"

#include <algorithm>

namespace bpfwarden::audit {

Result<Logs> Logs::open(std::span<const std::string> paths, std::uint64_t last_bytes) {
    Logs logs;
    std::optional<Error> missing;
    for (const auto& path : paths) {
        auto reader = Reader::open(path, last_bytes);
        if (reader) {
            logs.logs_.push_back({std::move(*reader), {}, {}});
        } else if (reader.error().code() == Code::not_found) {
            if (!missing) missing = std::move(reader).error();
        } else {
            return fail(std::move(reader).error());
        }
    }
    if (logs.logs_.empty() && missing) return fail(std::move(*missing));
    return logs;
}

void Logs::skip_before(std::uint64_t ns_since_1970) {
    for (auto& log : logs_) log.reader.skip_before(ns_since_1970);
}

void Logs::watch() {
    for (auto& log : logs_) log.reader.watch();
}

std::vector<FdRef> Logs::changed() const {
    std::vector<FdRef> all;
    for (const auto& log : logs_) all.push_back(log.reader.changed());
    return all;
}

std::uint64_t Logs::whole_since() const {
    std::uint64_t since = 0;
    for (const auto& log : logs_)
        if (!log.reader.is_whole()) since = std::max(since, log.first_ns.value_or(~std::uint64_t{0}));
    return since;
}

std::optional<Reader::Item> Logs::next() {
    // Not an event: it stands before the log's next one, whenever that was.
    const auto time = [](const Reader::Item& item) {
        const auto* event = std::get_if<Event>(&item);
        return event == nullptr ? 0 : event->time_ns;
    };
    std::optional<std::size_t> earliest;
    for (std::size_t i = 0; i < logs_.size(); ++i) {
        auto& log = logs_[i];
        if (!log.item) log.item = log.reader.next();
        if (!log.item) continue;
        if (const auto* event = std::get_if<Event>(&*log.item); event && !log.first_ns) log.first_ns = event->time_ns;
        if (!earliest || time(*log.item) < time(*logs_[*earliest].item)) earliest = i;
    }
    if (!earliest) return std::nullopt;
    at_ = *earliest;
    return std::exchange(logs_[at_].item, std::nullopt);
}

}  // namespace bpfwarden::audit
