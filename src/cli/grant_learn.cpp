// SPDX-License-Identifier: Apache-2.0
// `bpfwarden grant learn -o FILE -- COMMAND`
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "base/text.hpp"
#include "broker/control.hpp"
#include "broker/grant_texts.hpp"
#include "cli/grant.hpp"
#include "cli/run.hpp"
#include "client/requests.hpp"
#include "grant/learn.hpp"

namespace bpfwarden::cli {

// As the names of grants are: of the command, what fits.
static std::string name_of(const std::string& command) {
    std::string name;
    for (const char c : std::filesystem::path(command).filename().string())
        name += std::isalnum(static_cast<unsigned char>(c)) != 0
                    ? static_cast<char>(std::tolower(static_cast<unsigned char>(c)))
                    : '-';
    const auto first = name.find_first_not_of('-');
    return first == std::string::npos ? "learned" : name.substr(first);
}

Result<int> grant_learn(const Args& args) {
    if (::geteuid() != 0)
        return fail(Error(Code::denied, "grant learn is for root")
                        .because("while it is learned from, the command may do all that a grant can allow"));
    const auto output = *args.value("--output");
    if (std::error_code problem; std::filesystem::exists(output, problem))
        return fail(Error(Code::usage, fmt::format("{} is there already", bpfwarden::quoted(output)))
                        .advise("give --output a name that is not taken"));
    const auto user = BW_TRY(kernel::find_user(args.value("--user").value_or("0")));
    broker::GrantTexts texts{.file = "(learning)", .texts = {{"(learning)", grant::everything()}}, .included = {}};
    auto control = BW_TRY(broker::Control::connect());
    auto fd = BW_TRY(control.open_session(texts, user.uid, user.gid, true));
    const auto session = BW_TRY(client::Session::adopt(fd.get()));
    (void)fd.release();
    const int status = BW_TRY(run_in_session(args, *session, &user, true));

    const auto operations = BW_TRY(client::operations(*session));
    if (operations.empty())
        return fail(
            Error(Code::failed, "there is nothing to learn").because("the command did nothing that asks for a grant"));
    const auto subject = user.uid == 0       ? std::string()
                         : user.name.empty() ? fmt::format("uid = {}", user.uid)
                                             : fmt::format("user = \"{}\"", user.name);
    const auto name = args.value("--name").value_or(name_of(args.positional("COMMAND").front()));
    const auto learned = BW_TRY(grant::learn(name, subject, operations));
    BW_TRY(write_new(output, learned.text));
    for (const auto& one : learned.left_out) say(fmt::format("bpfwarden grant learn: left out: {}", printable(one)));
    say(fmt::format("bpfwarden grant learn: {} operations, {}; next: bpfwarden grant show {}", operations.size(),
                    printable(output), printable(output)));
    return status;
}

}  // namespace bpfwarden::cli
