// SPDX-License-Identifier: Apache-2.0
// A session as what answers the system calls of another program.
#include <cerrno>

#include "client/requests.hpp"
#include "wire/bytes.hpp"

namespace bpfwarden::client {

static Failure broken() { return fail(Error::from_errno(EPROTO, "the broker's answer is not understood")); }

Result<> supervise(Session& session, FdRef listener) {
    const int fd = listener.get();
    auto exchange = BW_TRY(session.ask(wire::Type::supervise, {}, {&fd, 1}));
    const auto from = BW_TRY(exchange.read("supervising a program"));
    if (!from.done() || !exchange.message.fds.empty()) return broken();
    exchange.finish();
    return {};
}

Result<bool> catches_map_updates(Session& session) {
    auto exchange = BW_TRY(session.ask(wire::Type::caught, {}));
    auto from = BW_TRY(exchange.read("supervising a program"));
    const bool updates = from.number<std::uint8_t>() != 0;
    if (!from.done() || !exchange.message.fds.empty()) return broken();
    exchange.finish();
    return updates;
}

Result<std::vector<std::string>> operations(Session& session) {
    auto exchange = BW_TRY(session.ask(wire::Type::operations, {}));
    auto from = BW_TRY(exchange.read("what was done in the session"));
    std::vector<std::string> all;
    while (from.ok() && !from.done()) all.push_back(from.text());
    if (!from.ok() || !exchange.message.fds.empty()) return broken();
    exchange.finish();
    return all;
}

Result<Refusals> refusals(Session& session) {
    auto exchange = BW_TRY(session.ask(wire::Type::refusals, {}));
    auto from = BW_TRY(exchange.read("what the session refused"));
    Refusals refusals;
    for (auto n = from.number<std::uint32_t>(); n > 0 && from.ok(); --n) {
        Refused one;
        one.operation = from.text();
        one.count = from.number<std::uint64_t>();
        for (auto* text : {&one.key, &one.line, &one.reason}) *text = from.text();
        refusals.all.push_back(std::move(one));
    }
    refusals.more = from.number<std::uint64_t>();
    if (!from.done() || !exchange.message.fds.empty()) return broken();
    exchange.finish();
    return refusals;
}

}  // namespace bpfwarden::client
