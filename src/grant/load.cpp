// SPDX-License-Identifier: Apache-2.0
#include "grant/load.hpp"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "grant/lint.hpp"
#include "grant/parse.hpp"
#include "kernel/file.hpp"

namespace bpfwarden::grant {

static constexpr std::string_view directories[] = {"etc/bpfwarden/grants.d", "usr/lib/bpfwarden/grants.d"};

static std::string under(const std::string& root, std::string_view path) {
    return fmt::format("{}{}{}", root, root.ends_with('/') ? "" : "/", path);
}

static Result<Source> read_file(const std::string& path) {
    auto file = BW_TRY(kernel::read_text_file(path, largest_file, "grant"));
    return Source{path, std::move(file.identity), std::move(file.text)};
}

static bool is_path(std::string_view what) {
    return what.find('/') != std::string_view::npos || what.ends_with(".toml");
}

static Result<std::string> find_installed(const std::string& name, const LoadOptions& options) {
    for (const auto directory : directories) {
        auto path = under(options.root, fmt::format("{}/{}.toml", directory, name));
        if (::access(path.c_str(), F_OK) == 0) return path;
    }
    std::string known;
    std::vector<Installed> installed;
    if (auto listed = list_installed(options)) installed = std::move(*listed);
    std::vector<std::string_view> names;
    for (const auto& one : installed) names.push_back(one.name);
    const auto near = nearest(name, names);
    return fail(Error(Code::not_found, fmt::format("there is no grant {}", quoted(name)))
                    .because(fmt::format("neither {} nor {} has {}.toml", under(options.root, directories[0]),
                                         under(options.root, directories[1]), printable(name)))
                    .advise(near ? fmt::format("did you mean {}?", *near)
                                 : "write ./NAME for a file in the current directory"));
}

namespace {
class FileLoader : public Loader {
  public:
    explicit FileLoader(LoadOptions options) : options_(std::move(options)) {}

    // A path counts from the including file's directory, so that a set of grants can be moved as a whole.
    Result<Source> include(std::string_view name, const Source& from) override {
        if (!is_path(name)) return read_file(BW_TRY(find_installed(std::string(name), options_)));
        std::string path(name);
        if (const auto slash = from.file.rfind('/'); path[0] != '/' && slash != std::string::npos)
            path = from.file.substr(0, slash + 1) + path;
        return read_file(path);
    }

  private:
    LoadOptions options_;
};
}  // namespace

namespace {
// Keeps the texts, so that messages can show the line they are about.
class Recorder : public Loader {
  public:
    Recorder(Loader& loader, Checked& into) : loader_(loader), into_(into) {}
    Result<Source> include(std::string_view name, const Source& from) override {
        auto source = BW_TRY(loader_.include(name, from));
        into_.texts.emplace(source.file, source.text);
        into_.included.insert_or_assign(std::pair(from.file, std::string(name)), source.file);
        return source;
    }

  private:
    Loader& loader_;
    Checked& into_;
};
}  // namespace

std::string_view Checked::line(const Position& at) const {
    const auto text = texts.find(at.file);
    if (text == texts.end() || !at.known()) return {};
    const auto lines = split(text->second, '\n');
    if (at.line > lines.size()) return {};
    auto line = lines[at.line - 1];
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

Checked check_text(const Source& source, Loader& loader) {
    Checked out{source.file, std::nullopt, {}, {{source.file, source.text}}, {}};
    Recorder recorder(loader, out);
    auto grant = resolve(source, recorder, out.diagnostics);
    if (!grant) return out;
    Diagnostics whole;
    lint(*grant, whole);
    // With parts of the grant unreadable, only its dangers are sure; warnings would be about what is missing.
    if (out.diagnostics.ok())
        out.diagnostics.add(whole);
    else
        for (const auto& one : whole.all())
            if (one.severity == Severity::error) out.diagnostics.error(one.at, one.what, one.why, one.hint);
    if (out.diagnostics.ok()) out.grant = std::move(grant);
    return out;
}

Result<Checked> check_file(const std::string& what, const LoadOptions& options) {
    FileLoader loader(options);
    if (what == "-") {
        auto text = BW_TRY(kernel::read_text_file("-", largest_file, "grant")).text;
        return check_text(Source{"<stdin>", "stdin", std::move(text)}, loader);
    }
    if (what.find('\0') != std::string::npos || what.empty())
        return fail(Error(Code::usage, fmt::format("{} is no file name", quoted(what))));
    if (is_path(what)) return check_text(BW_TRY(read_file(what)), loader);
    if (auto installed = find_installed(what, options))
        return check_text(BW_TRY(read_file(*installed)), loader);
    else if (::access(what.c_str(), F_OK) != 0)
        return fail(installed.error());
    return fail(Error(Code::not_found, fmt::format("there is no installed grant {}", quoted(what)))
                    .because("a word without \"/\" and \".toml\" is the name of an installed grant")
                    .advise(fmt::format("write ./{} for the file", printable(what))));
}

Result<Checked> must_be_valid(Checked checked, const std::string& what) {
    if (checked.grant) return checked;
    std::string problems;
    for (const auto& one : checked.diagnostics.sorted())
        if (one.severity == Severity::error) problems += (problems.empty() ? "" : "\n  ") + one.text();
    return fail(Error(Code::bad_input, fmt::format("the grant {} is not valid", quoted(checked.file)))
                    .because(std::move(problems))
                    .advise(fmt::format("bpfwarden grant check {} shows all there is to say", printable(what))));
}

Result<Resolved> load_file(const std::string& what, const LoadOptions& options) {
    return std::move(*BW_TRY(must_be_valid(BW_TRY(check_file(what, options)), what)).grant);
}

Result<std::vector<Installed>> list_installed(const LoadOptions& options) {
    std::map<std::string, Installed> found;
    for (const auto directory : directories) {
        const auto path = under(options.root, directory);
        const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(path.c_str()), ::closedir);
        if (!open) {
            if (errno == ENOENT || errno == ENOTDIR) continue;
            return fail_errno(fmt::format("cannot list {}", quoted(path)));
        }
        while (const dirent* entry = ::readdir(open.get())) {
            const std::string_view name = entry->d_name;
            if (!name.ends_with(".toml") || name.starts_with('.')) continue;
            auto stem = default_name(name);
            const auto [at, fresh] = found.try_emplace(stem, Installed{stem, fmt::format("{}/{}", path, name)});
            if (!fresh) at->second.overrides = true;
        }
    }
    std::vector<Installed> list;
    for (auto& [name, one] : found) list.push_back(std::move(one));
    return list;
}

}  // namespace bpfwarden::grant
