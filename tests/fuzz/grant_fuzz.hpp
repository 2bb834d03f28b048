// SPDX-License-Identifier: Apache-2.0
// What must hold of any bytes given as a grant: used by the fuzzer, and by the replay of its corpus in every build.
#pragma once

#include <string>
#include <string_view>

#include "grant/check.hpp"
#include "grant/diff.hpp"
#include "grant/enforcement.hpp"
#include "grant/load.hpp"
#include "grant/masks.hpp"
#include "grant/print.hpp"

namespace bpfwarden::grant {

// "self" is the input again; "part" a fixed good grant; anything else is missing.
class FuzzLoader : public Loader {
  public:
    explicit FuzzLoader(std::string text) : text_(std::move(text)) {}
    Result<Source> include(std::string_view name, const Source& from) override {
        if (name == "self") return Source{"self", "self" + std::to_string(from.identity.size() % 3), text_};
        if (name == "part")
            return Source{"part", "part",
                          "format = 1\n[allow]\nmap_types = ['hash']\ncommands = ['map_create']\n[targets]\ninterfaces "
                          "= ['veth*']\n[limits]\nmaps = 3\n"};
        return fail(Code::not_found, "there is no such grant");
    }

  private:
    std::string text_;
};

inline bool is_printable(std::string_view text) {
    for (const char c : text)
        if (c != '\n' && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)) return false;
    return true;
}

// Empty if everything holds, else what does not.
inline std::string broken_invariant(const std::string& text) {
    FuzzLoader loader(text);
    const auto checked = check_text(Source{"fuzz", "fuzz", text}, loader);
    for (const auto& one : checked.diagnostics.sorted()) {
        if (!is_printable(one.text())) return "a message holds control characters: " + one.text();
        if (checked.line(one.at).size() > text.size()) return "a line is longer than the text";
    }
    if (checked.grant.has_value() != checked.diagnostics.ok()) return "valid and wrong at the same time";

    // Also what is not to be used must be safe to work with: resolve() gives it to callers that report on it.
    Diagnostics diagnostics;
    const auto grant = resolve(Source{"fuzz", "fuzz", text}, loader, diagnostics);
    if (!grant) return "";
    const auto masks = token_masks(*grant);
    using kernel::NameKind;
    const auto& known = kernel::Names::known();
    if ((masks.maps & ~known.mask(NameKind::map_type)) || (masks.programs & ~known.mask(NameKind::program_type)) ||
        (masks.attachs & ~known.mask(NameKind::attach_type)) || (masks.commands & ~known.mask(NameKind::command)))
        return "a mask has a bit without a name";
    for (const auto way : all_ways) unenforced(*grant, way);
    for (const Operation& operation :
         {Operation(MapCreate{"hash"}), Operation(ProgLoad{.type = "xdp", .helpers = {"loop"}}),
          Operation(Attach{.type = "xdp", .targets = {{Target::interfaces, "veth0"}}}),
          Operation(PerfEventOpen{Target::tracepoints, "sched/sched_switch"}),
          Operation(OtherCommand{"link_create"})}) {
        const auto verdict = check(*grant, operation);
        if (verdict.allowed != (verdict.error == 0)) return "a verdict contradicts its errno";
    }
    if (!diff(*grant, *grant).changes.empty()) return "a grant differs from itself";
    if (!checked.grant) return "";
    const auto printed = to_toml(*grant);
    if (!printed) return "";  // several files narrow the same
    Diagnostics again_diagnostics;
    const auto again = resolve(Source{"again", "again", *printed}, loader, again_diagnostics);
    if (!again || !again_diagnostics.ok()) return "what was printed is not valid:\n" + *printed;
    if (to_toml(*again).value_or("") != *printed) return "what was printed reads as something else:\n" + *printed;
    if (token_masks(*again) != masks) return "what was printed has other masks";
    // A name taken from the file's own name is all that may be lost.
    for (const auto& change : diff(*grant, *again).changes)
        if (change.key != "name") return "printing changed " + change.key + " " + change.what;
    return "";
}

}  // namespace bpfwarden::grant
