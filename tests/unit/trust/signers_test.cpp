// SPDX-License-Identifier: Apache-2.0
#include "trust/signers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "signing.hpp"

namespace bpfwarden::trust {

using test::Content;
using test::KeyOptions;
using test::SigningKey;
using test::SignOptions;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {

Content content_of(std::string_view text) {
    Content content(text.size());
    std::memcpy(content.data(), text.data(), text.size());
    return content;
}
const Content program = content_of("the stream of a program"), other = content_of("the stream of anothe");

Signers only(const std::string& name, const SigningKey& key) { return Signers::read({{name, key.pem()}}).value(); }

}  // namespace

TEST(Signers, EveryKindOfKeyWithAndWithoutAttributes) {
    for (const auto& options :
         {KeyOptions{}, KeyOptions{.curve = "P-384"}, KeyOptions{.rsa_bits = 2048}, KeyOptions{.usage = nullptr}}) {
        const SigningKey key("release", options), foreign("release", options);
        const auto signers = only("release", key), strangers = only("release", foreign);
        for (const bool attributes : {true, false})
            for (const auto* digest : {EVP_sha256(), EVP_sha384(), EVP_sha512()}) {
                const auto signature = key.sign(program, {.attributes = attributes, .digest = digest});
                EXPECT_THAT(signers.verify(program, signature).signers, ElementsAre("release"));
                const auto over_other = signers.verify(other, signature);
                EXPECT_THAT(over_other.signers, IsEmpty());
                EXPECT_THAT(over_other.why_not, HasSubstr("over another program"));
                const auto by_other = strangers.verify(program, signature);
                EXPECT_THAT(by_other.signers, IsEmpty());
                EXPECT_EQ(by_other.why_not, "the signature is by nobody whose key is installed");
            }
    }
}

// Another key under the name, issuer and serial number of a trusted one.
TEST(Signers, ACertificateThatLooksAlike) {
    const SigningKey key("release"), forged("release", {.looks_like = &key});
    for (const bool attributes : {true, false}) {
        const SignOptions options{.attributes = attributes};
        EXPECT_THAT(only("release", key).verify(program, key.sign(program, options)).signers, ElementsAre("release"));
        const auto verified = only("release", key).verify(program, forged.sign(program, options));
        EXPECT_THAT(verified.signers, IsEmpty());
        EXPECT_THAT(verified.why_not, HasSubstr("not by the key of \"release\""));
        EXPECT_THAT(only("release", forged).verify(program, forged.sign(program, options)).signers,
                    ElementsAre("release"));
    }
}

// By all of its bytes: none can be changed so that it still counts for another program, and none can be left out.
TEST(Signers, AlteredCutAndLengthened) {
    const SigningKey key("release");
    const auto signers = only("release", key);
    const auto good = key.sign(program);
    for (std::size_t i = 0; i < good.size(); ++i) {
        auto altered = good;
        altered[i] ^= std::byte{1};
        EXPECT_THAT(signers.verify(other, altered).signers, IsEmpty()) << i;
        EXPECT_THAT(signers.verify(program, std::span(good).first(i)).signers, IsEmpty()) << i;
    }
    auto longer = good;
    longer.push_back(std::byte{0});
    EXPECT_EQ(signers.verify(program, longer).why_not, "there is something behind the signature");
    EXPECT_EQ(signers.verify(program, std::span<const std::byte>()).why_not, "the signature is no CMS in DER");
    EXPECT_EQ(signers.verify(program, Content(largest_signature + 1)).why_not, "the signature is longer than 16 KiB");
    EXPECT_THAT(signers.verify(program, good).signers, ElementsAre("release")) << "the control";
}

// Whoever has a signature with attributes has one over their bytes: those must not pass for a program.
TEST(Signers, AttributesAreNoContent) {
    const SigningKey key("release");
    const auto good = key.sign(program);
    const auto* at = reinterpret_cast<const unsigned char*>(good.data());
    const std::unique_ptr<CMS_ContentInfo, decltype(&CMS_ContentInfo_free)> cms(
        d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(good.size())), CMS_ContentInfo_free);
    auto* info = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms.get()), 0);
    EXPECT_GE(CMS_signed_get_attr_count(info), 3);
    while (CMS_signed_get_attr_count(info) > 0) X509_ATTRIBUTE_free(CMS_signed_delete_attr(info, 0));
    EXPECT_THAT(only("release", key).verify(program, SigningKey::der(cms.get())).signers, IsEmpty());
}

TEST(Signers, WhatIsNoDetachedSignature) {
    const SigningKey key("release", {.rsa_bits = 2048, .usage = "digitalSignature,keyEncipherment"});
    const auto signers = only("release", key);
    EXPECT_THAT(signers.verify(program, key.sign(program, {.detached = false})).why_not, HasSubstr("detached"));
    EXPECT_THAT(signers.verify(program, key.encrypt(program)).why_not, HasSubstr("no signature but"));
    EXPECT_EQ(signers.verify(program, SigningKey::certificates_only()).why_not, "the signature is by nobody");
}

TEST(Signers, SeveralSignersAndSeveralSignatures) {
    const SigningKey first("first"), second("second"), stranger("stranger");
    const auto signers = Signers::read({{"first", first.pem()}, {"second", second.pem()}}).value();
    EXPECT_THAT(signers.verify(program, SigningKey::sign_by({&second, &first}, program)).signers,
                ElementsAre("first", "second"));
    // Whoever is not known neither helps nor hurts.
    EXPECT_THAT(signers.verify(program, SigningKey::sign_by({&stranger, &first}, program)).signers,
                ElementsAre("first"));
    const auto by_first = first.sign(program), of_other = second.sign(other), by_stranger = stranger.sign(program);
    const std::span<const std::byte> all[] = {of_other, by_stranger, by_first, by_first};
    EXPECT_THAT(signers.verify(program, all).signers, ElementsAre("first"));
    const std::span<const std::byte> none[] = {by_stranger, of_other, by_stranger};
    EXPECT_THAT(signers.verify(program, none).why_not, HasSubstr("\"second\" is over another program"));
    // Several certificates in one file are one signer; one certificate under two names is two.
    const auto team = Signers::read({{"team", first.pem() + second.pem()}, {"boss", first.pem()}}).value();
    EXPECT_THAT(team.verify(program, by_first).signers, ElementsAre("boss", "team"));
    EXPECT_THAT(team.verify(program, second.sign(program)).signers, ElementsAre("team"));
}

TEST(Signers, ValidityIsByThisMachinesClock) {
    const SigningKey expired("old", {.not_before = -7200, .not_after = -3600}), coming("new", {.not_before = 3600});
    const auto of_expired = only("old", expired).verify(program, expired.sign(program));
    EXPECT_THAT(of_expired.signers, IsEmpty());
    EXPECT_THAT(of_expired.why_not, HasSubstr("the certificate of \"old\" expired on 20"));
    const auto of_coming = only("new", coming).verify(program, coming.sign(program));
    EXPECT_THAT(of_coming.signers, IsEmpty());
    EXPECT_THAT(of_coming.why_not, HasSubstr("is not valid before 20"));
}

TEST(Signers, WeakDigests) {
    const SigningKey key("release", {.rsa_bits = 2048});
    for (const auto* digest : {EVP_sha1(), EVP_md5(), EVP_sha224()})
        for (const bool attributes : {true, false}) {
            const auto verified =
                only("release", key).verify(program, key.sign(program, {.attributes = attributes, .digest = digest}));
            EXPECT_THAT(verified.signers, IsEmpty());
            EXPECT_THAT(verified.why_not, HasSubstr("weak digest"));
        }
}

TEST(Signers, KeysThatCannotBeUsed) {
    const auto why = [](const std::string& text) {
        const auto read = Signers::read({{"release", text}});
        return read ? std::string("read") : read.error().why();
    };
    const auto good = SigningKey("release").pem();
    EXPECT_EQ(why(good), "read");
    EXPECT_EQ(why(""), "it has no certificate");
    EXPECT_EQ(why("no key"), "it has no certificate");
    EXPECT_EQ(why(good + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
              "a certificate in it is broken");
    EXPECT_THAT(why(SigningKey("weak", {.rsa_bits = 1024}).pem()), HasSubstr("less than 2048"));
    EXPECT_THAT(why(SigningKey("odd", {.curve = "P-521"}).pem()), HasSubstr("neither P-256 nor P-384"));
    EXPECT_THAT(why(SigningKey("ed", {.other = "ED25519"}).pem()), HasSubstr("neither RSA nor EC"));
    EXPECT_THAT(why(SigningKey("ca", {.usage = "keyCertSign"}).pem()), HasSubstr("digitalSignature"));
    EXPECT_THAT(why(good + SigningKey("weak", {.rsa_bits = 1024}).pem()), HasSubstr("less than 2048"));
}

// The certificates are trusted, and nothing that they stand for: one that a trusted one issued is a stranger's.
TEST(Signers, NothingIsTrustedByBeingIssued) {
    const SigningKey authority("authority", {.usage = "digitalSignature,keyCertSign"});
    const SigningKey issued("issued", {.issuer = &authority});
    EXPECT_EQ(only("authority", authority).verify(program, issued.sign(program)).why_not,
              "the signature is by nobody whose key is installed");
    EXPECT_THAT(only("issued", issued).verify(program, issued.sign(program)).signers, ElementsAre("issued"));
}

}  // namespace bpfwarden::trust
