// SPDX-License-Identifier: Apache-2.0
#include "broker/parser.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "kernel/elf_symbols.hpp"

namespace bpfwarden::broker {

// What one request may take. The parser is ended by its own clock before whoever asks gives up.
static constexpr int longest_request_s = 3;
static constexpr int patience_ms = 4000;

// "/usr/lib/libc.so.6:0x8af20" is a place; what is behind the last colon is a symbol, or a pattern for some, otherwise.
static bool may_be_symbol(std::string_view pattern) {
    const auto colon = pattern.rfind(':');
    return colon == std::string_view::npos || !pattern.substr(colon + 1).starts_with("0x");
}

bool needs_parser(const Rights& rights) {
    return std::ranges::any_of(rights.grants(), [](const grant::Resolved& grant) {
        const auto& uprobes = grant.of(grant::Target::uprobes);
        return !grant.signers.empty() || std::ranges::any_of(uprobes, [](const grant::PatternList& list) {
            return std::ranges::any_of(list.patterns, may_be_symbol, &grant::Pattern::glob);
        });
    });
}

namespace {

void write_names(wire::Writer& to, const std::vector<std::string>& names) {
    to.number(static_cast<std::uint32_t>(names.size()));
    for (const auto& name : names) to.text(name);
}
std::vector<std::string> read_names(wire::Reader& from) {
    std::vector<std::string> names;
    for (auto n = from.number<std::uint32_t>(); n > 0 && from.ok(); --n) names.push_back(from.text());
    return names;
}

class ParserProcess {
  public:
    explicit ParserProcess(const trust::Signers& signers) : signers_(signers) {}

    // One request of one asker; false when that has gone.
    bool serve(FdRef asker) {
        auto message = receiver_.receive(asker);
        if (!message || !*message) return false;
        wire::Writer answer;
        // SIGALRM ends the process: whatever it is at, it was given too much.
        ::alarm(longest_request_s);
        if (const auto done = serve(**message, answer); !done) {
            answer.clear();
            answer.number(static_cast<std::uint8_t>(wire::Answer::failed));
            wire::write_error(answer, done.error());
        }
        ::alarm(0);
        return wire::send(asker, as_type(Internal::reply), (*message)->id, answer.bytes()).has_value();
    }

  private:
    Result<> serve(wire::Message& message, wire::Writer& answer) {
        wire::Reader from(message.body);
        if (message.type == as_type(Internal::verify_signature)) {
            const auto content = from.block();
            std::vector<wire::Bytes> signatures;
            for (auto n = from.number<std::uint32_t>(); n > 0 && from.ok(); --n) signatures.push_back(from.block());
            if (!from.done()) return fail(Code::failed, "a broken request");
            const auto verified = signers_.verify(content, signatures);
            answer.number(static_cast<std::uint8_t>(wire::Answer::done));
            write_names(answer, verified.signers);
            answer.text(verified.why_not);
            return {};
        }
        const auto offset = from.number<std::uint64_t>();
        if (message.type != as_type(Internal::function_names) || !from.done() || message.fds.size() != 1)
            return fail(Code::failed, "a broken request");
        const auto names = BW_TRY(kernel::functions_at(message.fds.front(), offset));
        answer.number(static_cast<std::uint8_t>(wire::Answer::done));
        write_names(answer, names);
        return {};
    }

    const trust::Signers& signers_;
    wire::Receiver receiver_;
};

}  // namespace

int run_parser(const ParserEnds& ends, const trust::Signers& signers) {
    ParserProcess parser(signers);
    pollfd waits[] = {{ends.worker.get(), POLLIN, 0}, {ends.opener.get(), POLLIN, 0}};
    // poll() passes over negative numbers.
    while (waits[0].fd >= 0 || waits[1].fd >= 0) {
        if (::poll(waits, std::size(waits), -1) < 0 && errno != EINTR) return 1;
        for (auto& one : waits)
            if (one.fd >= 0 && one.revents != 0 && !parser.serve(FdRef(one.fd))) one.fd = -1;
    }
    return 0;
}

void warm_up_parser() { (void)trust::Signers().verify({}, std::span<const std::byte>()); }

Result<wire::Message> Parser::ask(Internal kind, wire::Bytes body, std::span<const int> fds) {
    if (!socket_)
        return fail(Error::from_errno(EIO, "what reads signatures and ELF files for this session has ended")
                        .because("it failed at an earlier request"));
    auto answer = broker::ask(socket_, receiver_, kind, body, fds, patience_ms);
    if (answer) return answer;
    socket_.reset();
    return fail(Error::from_errno(EIO, "what reads signatures and ELF files for this session has failed")
                    .because(answer.error().what()));
}

// The part behind the u8 Answer.
static Result<wire::Reader> answered(const wire::Message& message) {
    wire::Reader from(message.body);
    if (from.number<std::uint8_t>() == static_cast<std::uint8_t>(wire::Answer::done)) return from;
    return fail(wire::read_error(from));
}
static Failure broken() { return fail(Error::from_errno(EIO, "the parser's answer is broken")); }

Result<trust::Verified> Parser::verify(wire::Bytes content, std::span<const wire::Bytes> signatures) {
    wire::Writer body;
    body.block(content);
    body.number(static_cast<std::uint32_t>(signatures.size()));
    for (const auto& one : signatures) body.block(one);
    const auto message = BW_TRY(ask(Internal::verify_signature, body.bytes()));
    auto from = BW_TRY(answered(message));
    trust::Verified verified{read_names(from), from.text()};
    if (!from.done()) return broken();
    return verified;
}

Result<std::vector<std::string>> Parser::functions_at(FdRef file, std::uint64_t offset) {
    wire::Writer body;
    body.number(offset);
    const int fd = file.get();
    const auto message = BW_TRY(ask(Internal::function_names, body.bytes(), {&fd, 1}));
    auto from = BW_TRY(answered(message));
    auto names = read_names(from);
    if (!from.done()) return broken();
    return names;
}

}  // namespace bpfwarden::broker
