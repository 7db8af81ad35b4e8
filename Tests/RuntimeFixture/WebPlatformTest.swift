import Engine
import Glibc
import WebRuntime

/// One file of the web platform tests (https://github.com/web-platform-tests/wpt) as a main module of the fixture: the tests' own harness, the
/// scripts that the file asks for, the file. They are scripts, so that they are run as strings.
struct WebPlatformTest {
    /// What `fetch` may read.
    nonisolated(unsafe) private(set) static var root = ""

    let module: String

    /// - Parameters:
    ///   - root: the tests' folder.
    ///   - path: the file's path in it.
    init(root: String, path: String) {
        Self.root = root
        let text = Self.text(of: path)
        let folder = path.split(separator: "/").dropLast().map { $0 + "/" }.joined()
        var own: [String] = []
        // Strict code is to stay strict also behind the scripts it asks for.
        if text.split(separator: "\n").contains(where: { $0.hasPrefix("'use strict';") }) { own.append("'use strict';") }
        var scripts = ["resources/testharness.js"]
        for line in text.split(separator: "\n") where line.hasPrefix("// META: script=") {
            let name = line.drop { $0 != "=" }.dropFirst().trimmingSuffix(while: \.isWhitespace)
            if name == "/resources/WebIDLParser.js" {
                scripts.append("resources/webidl2/lib/webidl2.js")
            } else if name.hasPrefix("/resources/") {
                scripts.append(String(name.dropFirst()))
            } else {
                own.append(Self.text(of: name.hasPrefix("/") ? String(name.dropFirst()) : folder + name))
            }
        }
        own.append(text)
        let quoted = (scripts.map(Self.text) + [own.joined(separator: "\n;")]).map(FixtureHost.quote)
        module =
            Self.prelude(path) + "\nconst scripts = [\(quoted.joined(separator: ",\n"))];\n"
                + """
                (0, eval)(scripts[0]);
                \(Self.reporting)
                for (const script of scripts.slice(1)) (0, eval)(script);
                export default { fetch() { return new Response(); } };
                """
    }

    private static func text(of path: String) -> String { String(decoding: readFile(root + "/" + path), as: UTF8.self) }

    /// What a page or worker has and a tenant has not, as far as the harness needs it.
    private static func prelude(_ path: String) -> String {
        """
        const path = \(FixtureHost.quote("/" + path));
        globalThis.location = { href: 'https://web-platform.test' + path, pathname: path, search: '', hash: '', toString() { return this.href; } };
        globalThis.GLOBAL = { isWindow: () => false, isWorker: () => false, isShadowRealm: () => false };
        if (path.includes('idlharness')) globalThis.Window = class {};
        const { URL, Response } = globalThis;
        globalThis.fetch = async (name, { body } = {}) => {
          if (name.endsWith('/echo-content.py')) return new Response(await new Response(body).arrayBuffer());
          const text = fixture.readFile(new URL(name, location.href).pathname);
          if (text === null) throw new TypeError(`the fixture has no ${name}`);
          return new Response(text);
        };
        // Blobs' tests read them by it.
        globalThis.FileReader = class {
          async read(promise) { this.result = await promise; this.onload({ target: this }); }
          readAsText(blob) { this.read(blob.text()); }
          readAsArrayBuffer(blob) { this.read(blob.arrayBuffer()); }
        };
        """
    }

    /// A line a test: `ok` or `fail`, its name, why; parted by tabs.
    private static let reporting = """
        const kinds = ['PASS', 'FAIL', 'TIMEOUT', 'NOTRUN', 'PRECONDITION_FAILED'];
        add_result_callback(({ name, status, message }) => { fixture.report(name, status === 0 ? '' : `${kinds[status]}: ${message ?? ''}`); });
        add_completion_callback((tests, { status, message }) => {
          if (status !== 0) fixture.report('the harness', `status ${status}: ${message}`);
          fixture.done(tests.length);
        });
        """
}

extension Substring {
    fileprivate func trimmingSuffix(while isUnwanted: (Character) -> Bool) -> String {
        var rest = self
        while let last = rest.last, isUnwanted(last) { rest.removeLast() }
        return String(rest)
    }
}
