// SPDX-License-Identifier: Apache-2.0
#include "root/tools/just_enough.hpp"

#include <fmt/format.h>

#include <fstream>
#include <regex>
#include <sstream>

namespace bpfwarden::test {
namespace {

std::vector<std::string> lines_of(const std::string& file) {
    std::vector<std::string> lines;
    std::ifstream text(file);
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
}

std::string under_name(const std::vector<std::string>& lines, const std::string& name) {
    std::string text;
    for (const auto& line : lines) text += (line.starts_with("name = ") ? "name = \"" + name + '"' : line) + '\n';
    return text;
}

// Each grant that is this one without one of its entries, by the entry. One entry stands on a line of its own, as
// `grant learn` writes them.
std::map<std::string, std::vector<std::string>> with_one_less(const std::vector<std::string>& lines) {
    static const std::regex entry(R"re( +("[^"]+"),? +# .*)re");
    std::map<std::string, std::vector<std::string>> all;
    std::string list;
    std::smatch found;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].ends_with("= [")) list = lines[i].substr(0, lines[i].find(' '));
        if (!std::regex_match(lines[i], found, entry)) continue;
        auto less = lines;
        less.erase(less.begin() + static_cast<std::ptrdiff_t>(i));
        all.emplace(list + ' ' + found[1].str(), std::move(less));
    }
    return all;
}

// What `run` says was refused.
Words refused(const Running& running) {
    static const std::regex line(R"(bpfwarden run: refused(?: [0-9]+ times)?: ([^\r\n]*))");
    Words all;
    for (std::sregex_iterator at(running.said().begin(), running.said().end(), line), end; at != end; ++at)
        all.push_back((*at)[1].str());
    return all;
}

// What the kernel itself refused while it was learned from: that is in no grant.
Words more_than_the_kernel_refuses(const Daemon& daemon, const Words& operations) {
    Words more;
    for (const auto& one : operations)
        if (daemon.audit({"\"grant\":\"(learning)\"", "\"operation\":\"" + one + '"', "\"errno\":"}).empty())
            more.push_back(one);
    return more;
}

}  // namespace

std::function<Running(uid_t, const Words&)> of_command(const Words& command) {
    return [command](uid_t who, Words words) {
        words.insert(words.end(), command.begin(), command.end());
        return Running(who, words);
    };
}

void expect_just_enough(Daemon& daemon, const Doing& doing) {
    using Clock = std::chrono::steady_clock;
    const auto file = daemon.directory() + "/" + doing.name + ".toml";
    const auto start_under = [&](const std::string& grant) {
        Words words{beside("bin/bpfwarden"), "run", "--grant", grant};
        if (doing.map_root) words.push_back("--map-root");
        words.push_back("--");
        return doing.start(nobody, words);
    };
    {
        Words words{beside("bin/bpfwarden"), "grant", "learn", "--user", "nobody", "-o", file, "--name", doing.name};
        if (doing.map_root) words.push_back("--map-root");
        words.push_back("--");
        auto learning = doing.start(0, words);
        ASSERT_TRUE(doing.does_it(learning, patience())) << learning.said();
    }
    const auto learned = lines_of(file);
    const auto less = with_one_less(learned);
    ASSERT_GE(less.size(), 3U) << under_name(learned, doing.name);
    daemon.write_grant(doing.name, under_name(learned, doing.name));
    std::map<std::string, std::string> names;
    for (const auto& [entry, lines] : less) {
        const auto name = fmt::format("{}-{}", doing.name, names.size());
        std::ofstream(file) << under_name(lines, name);
        if (daemon.tool({"grant", "check", file}).status == 6) continue;  // without that it is no grant at all
        names[entry] = name;
        daemon.write_grant(name, under_name(lines, name));
    }
    const auto loaded = daemon.tool({"grant", "reload"});
    ASSERT_EQ(loaded.status, 0) << loaded.output;

    Clock::duration took{};
    {
        const auto start = Clock::now();
        auto running = start_under(doing.name);
        EXPECT_TRUE(doing.does_it(running, patience())) << running.said() << "\nunder\n"
                                                        << under_name(learned, doing.name);
        EXPECT_EQ(more_than_the_kernel_refuses(daemon, refused(running)), Words{}) << "under\n"
                                                                                   << under_name(learned, doing.name);
        took = Clock::now() - start;
    }
    // What does not end by itself and shows nothing in four times that time shows nothing.
    const auto within = std::chrono::duration_cast<std::chrono::milliseconds>(4 * took + std::chrono::seconds(2));
    for (const auto& [entry, name] : names) {
        auto running = start_under(name);
        if (!doing.does_it(running, within)) continue;
        EXPECT_NE(more_than_the_kernel_refuses(daemon, refused(running)), Words{})
            << "it does the same without " << entry << ":\n"
            << running.said();
    }
}

}  // namespace bpfwarden::test
