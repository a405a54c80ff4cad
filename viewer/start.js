// The page by itself: what its address says is shown in all of it.
import { keepToken, takeLink } from "./link.js";
import { mount } from "./page.js";

const { token, query } = takeLink();
mount(document.body, { url: ".", token, query, embed: query.has("embed"), keep: keepToken });

// Another link that is pasted into the address bar of this page does not load it anew.
addEventListener("hashchange", () => location.reload());
