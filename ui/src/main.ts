import "./lib/quiet-zod.ts";
import "./tokens.css";
import "./base.css";
import { mount } from "svelte";
import App from "./app.svelte";

const target = document.querySelector("#app");
if (!target) throw new Error("index.html has no #app");
mount(App, { target });
