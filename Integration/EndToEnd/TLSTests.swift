import Foundation
import Glibc
import IntegrationHarness
import Testing

extension EndToEndTests {
    /// TLS on the front, with a client that is not ours and certificates from files.
    @Suite(.serialized) struct TLSTests {
        private static let mirror = TestTenant(
            "mirror",
            "export default { async fetch(request) { return new Response(`${request.url} ${(await request.text()).length}`); } };")

        /// A daemon with TLS, and a folder with its certificate.
        private final class Fixture {
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("cloister-tls-\(UUID().uuidString)").path
            let daemon: TestDaemon
            let port: String

            init() throws {
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                try Fixture.make("certificate", in: folder)
                daemon = try TestDaemon(
                    [TLSTests.mirror],
                    configuration: """
                        listen_tls: 127.0.0.1:0
                        tls: { certificate: \(folder)/certificate.pem, key: \(folder)/certificate.key }
                        drain_s: 5
                        """)
                let line = try daemon.waitForLog { $0["message"] == "listening" }
                port = String(line["tls"]!.split(separator: ":").last!)
            }

            deinit {
                daemon.end()
                try? FileManager.default.removeItem(atPath: folder)
            }

            static func make(_ name: String, in folder: String) throws {
                let result = try run(
                    "/usr/bin/openssl",
                    [
                        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                        "\(folder)/\(name).key",
                        "-out", "\(folder)/\(name).pem", "-days", "1", "-subj", "/CN=\(name)", "-addext",
                        "subjectAltName=DNS:mirror.localhost",
                    ])
                guard result.status == 0 else { throw ClientError(result.errors) }
            }

            /// One request with curl, which trusts only the certificate of this name.
            func curl(_ path: String, trusting name: String = "certificate", _ further: [String] = []) throws -> CommandResult {
                try run(
                    "/usr/bin/curl",
                    [
                        "--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--cacert", "\(folder)/\(name).pem", "--resolve",
                        "mirror.localhost:\(port):127.0.0.1", "https://mirror.localhost:\(port)\(path)",
                    ] + further)
            }

            /// Puts other files in the place of the certificate's, as one that renews them does.
            func install(_ certificate: String, key: String) throws {
                for (from, to) in [(certificate, "certificate.pem"), (key, "certificate.key")] {
                    try run("/bin/cp", ["\(folder)/\(from)", "\(folder)/\(to).new"]).check()
                    guard rename("\(folder)/\(to).new", "\(folder)/\(to)") == 0 else { throw ClientError("rename: errno \(errno)") }
                }
            }
        }

        @Test func aClientIsServedOverTLSAndTheHandlerSeesHTTPS() throws {
            let fixture = try Fixture()
            let answer = try fixture.curl("/a?b=c", ["--data-binary", String(repeating: "x", count: 100_000)])
            #expect(answer.output == "https://mirror.localhost:\(fixture.port)/a?b=c 100000", "\(answer.errors)")
            #expect(try fixture.curl("/", ["--tls-max", "1.2"]).status == 0)
            // 35: the handshake failed.
            #expect(try fixture.curl("/", ["--tls-max", "1.1", "--ciphers", "DEFAULT:@SECLEVEL=0"]).status == 35)
            #expect(try fixture.curl("/", ["--head", "--http2", "--write-out", "%{http_version}"]).output.hasSuffix("1.1"))
            #expect(try fixture.daemon.get("mirror").text == "http://mirror.localhost/ 0")
        }

        @Test func aNewCertificateIsServedAfterAReloadAndABadOneIsNot() throws {
            let fixture = try Fixture()
            for name in ["renewed", "other"] { try Fixture.make(name, in: fixture.folder) }
            try fixture.install("renewed.pem", key: "renewed.key")
            // Until the reload the old one is served.
            #expect(try fixture.curl("/", trusting: "renewed").status == 60)
            let report = try fixture.daemon.admin("/v1/reload", method: "POST")
            #expect(report.text.contains("\"errors\":[]"))
            #expect(try fixture.curl("/", trusting: "renewed").status == 0)
            // A key that does not fit, no certificate at all, one that has expired, none: each is told with its file, and nothing changes.
            try run(
                "/usr/bin/openssl",
                [
                    "x509", "-in", "\(fixture.folder)/renewed.pem", "-signkey", "\(fixture.folder)/renewed.key", "-days", "-1", "-out",
                    "\(fixture.folder)/expired.pem",
                ]
            ).check()
            for (certificate, key, complaint) in [
                ("renewed.pem", "other.key", "certificate.key:1:1: the key is not the one of the certificate"),
                ("renewed.key", "renewed.key", "certificate.pem:1:1: it holds no certificates in PEM"),
                ("expired.pem", "renewed.key", "certificate.pem:1:1: the certificate expired on"),
            ] {
                try fixture.install(certificate, key: key)
                let report = try fixture.daemon.admin("/v1/reload", method: "POST")
                #expect(report.status == 200 && report.text.contains(complaint), "\(report.text)")
                #expect(try fixture.curl("/", trusting: "renewed").status == 0, "\(complaint)")
            }
            unlink("\(fixture.folder)/certificate.pem")
            fixture.daemon.signal(SIGHUP)
            _ = try fixture.daemon.waitForLog {
                $0["message"]?.hasPrefix("the certificate does not load") == true && $0["reason"]?.contains("No such file") == true
            }
            #expect(try fixture.curl("/", trusting: "renewed").status == 0)
        }

        @Test func validateTakesWhatTheStartTakes() throws {
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("cloister-tls-\(UUID().uuidString)").path
            try FileManager.default.createDirectory(atPath: folder + "/policies", withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try Fixture.make("valid", in: folder)
            try run(
                "/usr/bin/openssl",
                ["x509", "-in", "\(folder)/valid.pem", "-signkey", "\(folder)/valid.key", "-days", "-1", "-out", "\(folder)/expired.pem"]
            ).check()
            for (certificate, warning) in [
                ("valid", ""), ("expired", "cloisterd: \(folder)/expired.pem:1:1: the certificate expired on "),
            ] {
                try "policies: policies\nlisten_tls: 127.0.0.1:0\ntls: { certificate: \(certificate).pem, key: valid.key }\n".write(
                    toFile: folder + "/cloister.yaml", atomically: true, encoding: .utf8)
                let result = try run(
                    TestDaemon.binaries.appendingPathComponent("cloisterd").path, ["validate", "--config", folder + "/cloister.yaml"])
                #expect(result.status == 0 && result.output == "0 policies are valid\n", "\(result)")
                #expect(warning.isEmpty ? result.errors.isEmpty : result.errors.hasPrefix(warning), "\(result)")
            }
        }

        @Test func withoutACertificateTheDaemonDoesNotStart() throws {
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("cloister-tls-\(UUID().uuidString)").path
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let cloisterd = TestDaemon.binaries.appendingPathComponent("cloisterd").path
            for (further, complaint) in [
                (["--listen-tls", "127.0.0.1:0"], "needs a certificate"),
                (["--tls-certificate", "\(folder)/none.pem", "--tls-key", "\(folder)/none.key"], "needs an address"),
                (
                    ["--listen-tls", "127.0.0.1:0", "--tls-certificate", "\(folder)/none.pem", "--tls-key", "\(folder)/none.key"],
                    "\(folder)/none.pem:1:1: the certificate cannot be read"
                ),
            ] {
                let result = try run(
                    cloisterd,
                    ["run", "--policies", folder, "--state", "\(folder)/state", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
                        + further)
                #expect(result.status == 78 && result.errors.contains(complaint), "\(result)")
            }
        }
    }
}
