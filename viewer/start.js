// The page by itself: what its address says is shown in all of it.
import { mount } from "./page.js";

const query = new URLSearchParams(location.hash.slice(1));
const token = query.get("token") ?? "";
query.delete("token");
mount(document.body, { url: new URL("view", document.baseURI).href, token, query, embed: query.has("embed") });
