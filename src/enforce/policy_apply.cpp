// SPDX-License-Identifier: Apache-2.0
#include "enforce/policy_apply.hpp"

#include <utility>

namespace bpfwarden::enforce {

Result<AppliedPolicy> apply_policy(PolicyForce& force, policy::Compiled compiled, std::vector<std::string> files,
                                   std::chrono::seconds confirm_within, const std::string& records) {
    AppliedPolicy applied{.record = record_of(compiled, std::move(files)), .unwritten = {}};
    applied.record.generation = BW_TRY(force.next_generation());
    if (auto written = write_record(applied.record, records); !written) {
        // One without names could not be replaced: it would not be known what its domains' numbers are.
        if (applied.record.generation > 1) return fail(std::move(written).error());
        applied.unwritten = std::move(written).error();
    }
    if (auto done = force.apply(std::move(compiled), confirm_within); !done) {
        if (const auto now = force.status(); now && now->newest < applied.record.generation)
            remove_record(applied.record.generation, records);
        return fail(std::move(done).error());
    }
    const auto now = BW_TRY(force.status());
    keep_records(applied.record.generation, now.before, records);
    return applied;
}

}  // namespace bpfwarden::enforce
