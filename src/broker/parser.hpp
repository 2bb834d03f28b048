// SPDX-License-Identifier: Apache-2.0
// Reads, for one session, the two formats that are hostile and old: CMS signatures and ELF files. In a process apart,
// which has no capability, no file but those that it is given, and no system call but reading and answering. Whoever
// breaks it gains its answers to their own session, and nothing else.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "broker/protocol.hpp"
#include "broker/rights.hpp"
#include "trust/signers.hpp"
#include "wire/message.hpp"

namespace bpfwarden::broker {

// Whether anything of these grants is decided by a signature, or by the name of a function in a file.
bool needs_parser(const Rights& rights);

// Its ends, one for each process that asks.
struct ParserEnds {
    UniqueFd worker, opener;
};

// Serves both until they hang up. The exit status.
int run_parser(const ParserEnds& ends, const trust::Signers& signers);
// What its libraries do at their first use, and could not any more once it is confined.
void warm_up_parser();

// The asking side. A parser that has failed once is not asked again: it has ended, or what it says next may be the
// answer to something else.
class Parser {
  public:
    Parser() = default;
    explicit Parser(UniqueFd socket) : socket_(std::move(socket)), made_(static_cast<bool>(socket_)) {}
    // Whether the session has one, also if it has failed since.
    explicit operator bool() const { return made_; }

    Result<trust::Verified> verify(wire::Bytes content, std::span<const wire::Bytes> signatures);
    // See kernel::functions_at().
    Result<std::vector<std::string>> functions_at(FdRef file, std::uint64_t offset);

  private:
    Result<wire::Message> ask(Internal kind, wire::Bytes body, std::span<const int> fds = {});
    UniqueFd socket_;
    bool made_ = false;
    wire::Receiver receiver_;
};

}  // namespace bpfwarden::broker
