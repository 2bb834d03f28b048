// SPDX-License-Identifier: Apache-2.0
// Log files for tests.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "audit/json.hpp"
#include "audit/log.hpp"
#include "audit/reader.hpp"
#include "audit/sink_file.hpp"
#include "unit/audit/events.hpp"

namespace bpfwarden::audit {

class LogFolder : public ::testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/bpfwarden-audit-test-XXXXXX";
        ASSERT_NE(::mkdtemp(name), nullptr);
        folder_ = name;
        path_ = folder_ / "audit.jsonl";
    }
    void TearDown() override {
        if (!folder_.empty()) std::filesystem::remove_all(folder_);
    }

    std::unique_ptr<FileSink> open_sink(std::uint64_t max_size = 1 << 20, unsigned keep = 8) const {
        auto sink = FileSink::open({.path = path_, .max_size = max_size, .keep = keep, .group = ""});
        if (!sink) ADD_FAILURE() << sink.error().text("open");
        return sink ? std::move(*sink) : nullptr;
    }
    Log make_log(std::uint64_t max_size = 1 << 20, unsigned keep = 8) const {
        Log log;
        log.add(open_sink(max_size, keep));
        return log;
    }

    std::filesystem::path folder_;
    std::string path_;
};

inline std::string contents(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline void append(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::app) << text; }

inline std::string line_of(std::uint64_t seq, Event event = operation(0)) {
    event.seq = seq;
    return to_json(event) + '\n';
}

inline std::vector<Reader::Item> read_all(Reader& reader) {
    std::vector<Reader::Item> items;
    while (auto item = reader.next()) items.push_back(std::move(*item));
    return items;
}

// "1 2 hole:3-4 5 bad 6": what a reader sees; a gap is "gap:FIRST-LAST=LOST".
inline std::string outline(const std::vector<Reader::Item>& items) {
    std::string text;
    for (const auto& item : items) {
        if (!text.empty()) text += ' ';
        if (const auto* hole = std::get_if<Hole>(&item)) {
            text += "hole:" + std::to_string(hole->first) + "-" + std::to_string(hole->last);
        } else if (std::holds_alternative<BadLine>(item)) {
            text += "bad";
        } else {
            const auto& event = std::get<Event>(item);
            if (event.find("first_seq") != nullptr)
                text += "gap:" + event.text("first_seq") + "-" + std::to_string(event.seq) + "=" + event.text("lost");
            else
                text += std::to_string(event.seq);
        }
    }
    return text;
}

inline std::string outline_of(const std::string& path) {
    auto reader = Reader::open(path);
    return reader ? outline(read_all(*reader)) : reader.error().what();
}

}  // namespace bpfwarden::audit
