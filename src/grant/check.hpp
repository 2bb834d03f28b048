// SPDX-License-Identifier: Apache-2.0
// The one evaluator: may this operation be done under this grant? The notifier, the broker and `grant explain` all ask
// here, so that they cannot disagree.
#pragma once

#include <string>

#include "grant/facts.hpp"
#include "grant/operation.hpp"
#include "grant/resolve.hpp"

namespace bpfwarden::grant {

struct Verdict {
    bool allowed = false;
    int error = 0;       // the errno that a refusal gives; 0 if allowed
    std::string key;     // "allow.map_types": what decided
    std::string reason;  // one sentence without a full stop
    Position at;         // the entry that allows it; the list, or what is next to it, that does not
};

// Decides by the grant alone: what is counted over time (limits but instructions) is the quota's business, and whether
// the kernel would take it is the kernel's.
//
// Soundness: refuses whatever it does not recognise (an unknown name, a target that is missing where the grant narrows
// targets); every dimension of an operation must be allowed by itself. Adding an entry to [allow] can only turn
// refusals into permissions (tests/unit/grant/property_test.cpp).
Verdict check(const Resolved& grant, const Operation& operation);

// What it is as a probe (facts.hpp); null: none.
const ProbeFacts* probe_of(const ProgLoad& operation);
// Whether [identity] says nothing about it: those that do nothing wherever they are attached.
bool is_probe(const ProgLoad& operation);

}  // namespace bpfwarden::grant
