// What somebody may write with the generated types; compiled, and run against the services.
import createClient from "openapi-fetch";
import type { paths as Consumption } from "./consumption.js";
import type { components, paths as Recommendation } from "./recommendation.js";

declare const process: { argv: string[]; exitCode: number };

const [, , consumptionUrl, recommendationUrl] = process.argv;
const consumption = createClient<Consumption>({ baseUrl: consumptionUrl });
const recommendation = createClient<Recommendation>({ baseUrl: recommendationUrl });

const recorded = await consumption.POST("/watches", {
  body: { user_id: 42, lesson_id: 100, position: 314 },
});
const id: string | undefined = recorded.data?.id;
const read = await consumption.GET("/watches/{watch_id}", {
  params: { path: { watch_id: id ?? "" } },
});
const refused = await consumption.POST("/watches", {
  // @ts-expect-error: a position is a number
  body: { user_id: 42, lesson_id: 100, position: "far" },
});
// @ts-expect-error: there is no such route
await consumption.GET("/watched");

const lists = await recommendation.GET("/users/{user_id}/recommendations", {
  params: { path: { user_id: 7 }, query: { limit: 3, explain: true } },
});
const items: components["schemas"]["Recommendation"][] | undefined = lists.data?.items;

const fine =
  read.data?.position === 314 && refused.error?.status === 422 && Array.isArray(items);
if (!fine) {
  console.log(JSON.stringify([recorded, read, refused, lists]));
  process.exitCode = 1;
}
