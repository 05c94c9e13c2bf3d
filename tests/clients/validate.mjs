// Says what AsyncAPI's own parser has against a document, and fails when that is anything.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
for (const { path, message } of diagnostics) console.log(`${path.join(".")}: ${message}`);
process.exitCode = diagnostics.length ? 1 : 0;
