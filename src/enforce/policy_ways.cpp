// SPDX-License-Identifier: Apache-2.0
#include "enforce/policy_ways.hpp"

#include <cstring>

#include "shared/policy_image.h"

namespace bpfwarden::enforce {

template <class Line>
static Line line_at(std::span<const policy::Line> lines, std::uint32_t index) {
    Line line;
    std::memcpy(&line, &lines[index], sizeof line);
    return line;
}

static Failure not_known(const char* why) {
    return fail(Error(Code::failed, "who is in the updater's domain is not known by what it is")
                    .because(why)
                    .advise("have every way into it go by `fsverity` or `ima`, and leave secure_exec as it is: "
                            "bpfwarden policy identity FILE prints the digests"));
}

Result<> require_known_by_digest(const ForcedImage& image, std::uint32_t domain) {
    const auto lines = image.lines();
    const auto head = line_at<bw_image_head>(lines, 0);
    const auto tail = line_at<bw_image_tail>(lines, 1);
    const auto own = line_at<bw_domain>(lines, head.domain_line + domain * BW_DOMAIN_LINES);
    if (!(own.flags & BW_DOMAIN_SECURE_EXEC))
        return not_known("secure_exec = false in the domain: LD_PRELOAD of who executes its program would run in it");
    for (std::uint32_t i = 0; i < tail.entries; ++i) {
        const auto way = line_at<bw_entry>(lines, tail.entry_line + i);
        if (way.to != domain) continue;
        const auto pins = way.pins ? line_at<bw_entry_pins>(lines, way.pins) : bw_entry_pins{};
        // Not a label: root can mount a file system that it has written one to.
        if (!pins.numbers[BW_PIN_FSVERITY] && !pins.numbers[BW_PIN_IMA])
            return not_known(
                "a way into it goes by no digest: root can put another program in the place of the one "
                "that is meant");
    }
    return {};
}

}  // namespace bpfwarden::enforce
