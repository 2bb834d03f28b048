// SPDX-License-Identifier: Apache-2.0
// A session's own affairs: a smaller one, what it is, and what it is to keep.
#include <cerrno>

#include "client/requests.hpp"
#include "wire/bytes.hpp"

namespace bpfwarden::client {

static Failure broken() { return fail(Error::from_errno(EPROTO, "the broker's answer is not understood")); }

Result<std::unique_ptr<Session>> derive(Session& session, std::string_view grant) {
    wire::Writer body;
    body.text(grant);
    auto exchange = BW_TRY(session.ask(wire::Type::derive, body.bytes()));
    auto from = BW_TRY(exchange.read("deriving a session"));
    (void)from.text();  // its id
    if (!from.done() || exchange.message.fds.size() != 1) return broken();
    exchange.finish();
    auto derived = BW_TRY(Session::adopt(exchange.message.fds.front().get()));
    (void)exchange.message.fds.front().release();
    return derived;
}

Result<Description> describe(Session& session) {
    auto exchange = BW_TRY(session.ask(wire::Type::describe, {}));
    auto from = BW_TRY(exchange.read("describing the session"));
    Description description;
    description.session = from.text();
    description.grant = from.text();
    description.revision = from.text();
    description.lifetime_ms = from.number<std::uint64_t>();
    const auto count = from.number<std::uint32_t>();
    for (std::uint32_t i = 0; i < count && from.ok(); ++i) {
        Usage usage;
        usage.what = from.text();
        usage.used = from.number<std::uint64_t>();
        usage.limit = from.number<std::uint64_t>();
        description.usage.push_back(std::move(usage));
    }
    if (!from.done() || !exchange.message.fds.empty()) return broken();
    exchange.finish();
    return description;
}

Result<> add_signature(Session& session, wire::Bytes signature) {
    wire::Writer body;
    body.block(signature);
    auto exchange = BW_TRY(session.ask(wire::Type::add_signature, body.bytes()));
    const auto from = BW_TRY(exchange.read("adding a signature"));
    if (!from.done() || !exchange.message.fds.empty()) return broken();
    exchange.finish();
    return {};
}

}  // namespace bpfwarden::client
