// SPDX-License-Identifier: Apache-2.0
#include "broker/grant_texts.hpp"

#include "base/text.hpp"
#include "trust/digest.hpp"

namespace bpfwarden::broker {

namespace {

// Finds includes among the texts that came along, and nowhere else.
class TextLoader : public grant::Loader {
  public:
    explicit TextLoader(const GrantTexts& texts) : texts_(texts) {}
    Result<grant::Source> include(std::string_view name, const grant::Source& from) override {
        const auto file = texts_.included.find({from.file, std::string(name)});
        if (file == texts_.included.end())
            return fail(Error(Code::bad_input, "the include " + quoted(name) + " did not come along")
                            .because("a grant that is sent by a program may include nothing"));
        const auto text = texts_.texts.find(file->second);
        if (text == texts_.texts.end()) return fail(Code::bad_input, "a grant came without one of its files");
        return grant::Source{file->second, file->second, text->second};
    }

  private:
    const GrantTexts& texts_;
};

GrantTexts texts_of(const grant::Checked& checked) {
    return {checked.file, {checked.texts.begin(), checked.texts.end()}, checked.included};
}

}  // namespace

std::string GrantTexts::revision() const {
    wire::Writer all;
    write(all, *this);
    const auto digest = trust::sha256(all.bytes());
    return digest ? digest->substr(0, 12) : std::string();
}

Result<LoadedGrant> load_grant(const std::string& what, const grant::LoadOptions& options) {
    auto checked = BW_TRY(grant::must_be_valid(BW_TRY(grant::check_file(what, options)), what));
    auto texts = texts_of(checked);
    return LoadedGrant{std::move(*checked.grant), std::move(texts)};
}

Result<LoadedGrant> read_derived(const std::string& text) {
    static const GrantTexts nothing;
    TextLoader loader(nothing);
    if (text.size() > grant::largest_file) return fail(Code::bad_input, "the derived grant is too long");
    auto checked =
        BW_TRY(grant::must_be_valid(grant::check_text(grant::Source{"derived", "derived", text}, loader), "derived"));
    auto texts = texts_of(checked);
    return LoadedGrant{std::move(*checked.grant), std::move(texts)};
}

Result<grant::Resolved> resolve(const GrantTexts& texts) {
    const auto top = texts.texts.find(texts.file);
    if (top == texts.texts.end()) return fail(Code::bad_input, "a grant came without its text");
    TextLoader loader(texts);
    Diagnostics problems;
    auto grant = grant::resolve(grant::Source{texts.file, texts.file, top->second}, loader, problems);
    if (!grant || !problems.ok()) return fail(Code::bad_input, "a grant that was valid is not any more");
    return std::move(*grant);
}

void write(wire::Writer& to, const GrantTexts& texts) {
    to.text(texts.file);
    to.number(static_cast<std::uint32_t>(texts.texts.size()));
    for (const auto& [file, text] : texts.texts) {
        to.text(file);
        to.text(text);
    }
    to.number(static_cast<std::uint32_t>(texts.included.size()));
    for (const auto& [key, file] : texts.included) {
        to.text(key.first);
        to.text(key.second);
        to.text(file);
    }
}

GrantTexts read_texts(wire::Reader& from) {
    GrantTexts texts;
    texts.file = from.text();
    for (auto n = from.number<std::uint32_t>(); n > 0 && from.ok(); --n) {
        auto file = from.text();
        texts.texts.emplace(std::move(file), from.text());
    }
    for (auto n = from.number<std::uint32_t>(); n > 0 && from.ok(); --n) {
        auto key_from = from.text();
        auto as_written = from.text();
        texts.included.emplace(std::pair(std::move(key_from), std::move(as_written)), from.text());
    }
    return texts;
}

}  // namespace bpfwarden::broker
