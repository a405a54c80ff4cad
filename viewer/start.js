// Opens the viewer for the link in the address bar.

import { takeLink } from "./link.js";
import { mount } from "./page.js";

mount(document.body, { url: ".", ...takeLink() });
